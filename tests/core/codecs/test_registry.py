import subprocess
import sys

import pytest

from audiobuff_core.codecs.registry import CODECS, SIDE_STREAMS, EncoderChoice, load_codec, load_feature_encoder
from audiobuff_core.errors import EncoderUnavailable


@pytest.mark.parametrize("name", CODECS)
def test_every_codec_loads(name):
    codec = load_codec(name)
    assert codec.latent_dim > 0


@pytest.mark.parametrize(
    ("stream", "name"), [(stream, name) for stream, known in SIDE_STREAMS.items() for name in known]
)
def test_every_feature_encoder_loads(stream, name):
    assert load_feature_encoder(stream, name).feature_dim > 0


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
