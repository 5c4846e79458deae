import subprocess
import sys

import pytest

from audiobuff_core.codecs.registry import CODECS, SIDE_STREAMS, EncoderChoice, load_codec, load_feature_encoder
from audiobuff_core.errors import EncoderUnavailable


@pytest.fixture(autouse=True)
def _no_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("AUDIOBUFF_WEIGHTS", str(tmp_path / "weights"))


def test_the_built_in_ones_load_without_weights():
    assert load_codec("builtin").latent_dim > 0
    assert all(load_feature_encoder(stream, "builtin").feature_dim > 0 for stream in SIDE_STREAMS)


@pytest.mark.parametrize("name", [name for name in CODECS if name != "builtin"])
def test_a_codec_without_weights_names_the_fix(name):
    with pytest.raises(EncoderUnavailable, match=r"audiobuff fetch-weights .*or name a local path"):
        load_codec(name)
    with pytest.raises(EncoderUnavailable, match=r"No weights of .* at /nowhere"):
        load_codec(f"{name}:/nowhere/weights.pth")


@pytest.mark.parametrize(
    ("stream", "name"),
    [(stream, name) for stream, known in SIDE_STREAMS.items() for name in known if name != "builtin"],
)
def test_a_feature_encoder_without_weights_names_the_fix(stream, name):
    with pytest.raises(EncoderUnavailable, match=r"audiobuff fetch-weights|pip install"):
        load_feature_encoder(stream, name)


def test_a_location_for_an_encoder_without_weights_is_refused():
    with pytest.raises(EncoderUnavailable, match="has no weights"):
        load_codec("builtin:/nowhere")


def test_an_empty_location_is_not_taken_for_the_usual_one():
    with pytest.raises(EncoderUnavailable, match="Nothing after the colon of 'dac:' for --codec"):
        load_codec("dac:")


def test_the_defaults_are_built_in():
    assert EncoderChoice().as_dict() == {"codec": "builtin", "structure": "builtin", "semantic": "builtin"}


def test_identities_differ():
    encoders = [load_codec("builtin"), *(load_feature_encoder(stream, "builtin") for stream in SIDE_STREAMS)]
    assert len({encoder.identity.key for encoder in encoders}) == 3


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(EncoderUnavailable, match=r"'nope' for --codec is unknown: expected one of .*builtin"):
        load_codec("nope")
    with pytest.raises(EncoderUnavailable, match=r"'dac' for --semantic"):
        load_feature_encoder("semantic", "dac")
    with pytest.raises(EncoderUnavailable, match="structure, semantic"):
        load_feature_encoder("smell", "builtin")  # type: ignore[arg-type]


def test_the_choice_is_importable_without_torch():
    code = (
        "import sys, audiobuff_core.codecs.registry, audiobuff_core.codecs.protocols; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
