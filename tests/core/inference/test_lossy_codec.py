"""With a codec that loses something, clean sound costs nothing where it is left alone, and else no more than the codec.

The codec is a DAC of random weights in the published format.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.registry import EncoderChoice, load_codec, load_feature_encoder
from audiobuff_core.inference import restorer as restoring
from audiobuff_core.inference.opened import OpenedModel
from audiobuff_core.inference.restore_file import restore_file
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.inference.settings import RestoreSettings
from audiobuff_core.models.model import ModelConfig, RestorationModel, Standardiser

sys.path.insert(0, str(Path(__file__).parent.parent / "codecs"))
from small_networks import SMALL_DAC, save_descript

RATE = 16_000


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    place = tmp_path_factory.mktemp("dac") / "weights.pth"
    save_descript(place, SMALL_DAC)
    return place


@pytest.fixture(params=["dac", "dac-summed"])
def lossy(request, weights):
    """A restorer by that codec whose network moves every latent by about `size` of what is there."""
    choice = EncoderChoice(codec=f"{request.param}:{weights}")
    streams = {
        "target": load_codec(choice.codec),
        "structure": load_feature_encoder("structure", "builtin"),
        "semantic": load_feature_encoder("semantic", "builtin"),
    }
    dims = {"target": streams["target"].latent_dim}
    dims |= {name: streams[name].feature_dim for name in ("structure", "semantic")}
    config = ModelConfig(
        latent_dim=dims["target"], structure_dim=dims["structure"], semantic_dim=dims["semantic"], d_model=32,
        n_heads=2, depth=1, hidden_dim=32,
    )  # fmt: skip
    torch.manual_seed(0)
    latents = streams["target"].encode(music()).values
    spread = latents.reshape(-1, dims["target"]).std(dim=0)
    standardisers = {name: Standardiser(torch.zeros(dim), torch.ones(dim)) for name, dim in dims.items()}
    meta = {
        "profile": "test", "snapshot_digest": None, "encoders": choice.as_dict(), "source": "damaged",
        "identities": {name: one.identity.as_dict() for name, one in streams.items()},
        "inference": {"steps": 2, "tau": 0.0, "window_frames": 64},
    }  # fmt: skip
    made = Restorer(OpenedModel(RestorationModel(config).eval(), standardisers, meta, "0" * 64))

    def with_size(size):
        bias = made.model.vfn.head.fields.bias
        bias.data[:] = 0
        generator = torch.Generator().manual_seed(3)
        bias.data[: dims["target"]] = size * spread * torch.randn(dims["target"], generator=generator).sign()
        return made

    return with_size


def music(seconds=2.0):
    time = np.arange(round(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * 220 * k * time) / k for k in range(1, 9)) * (1 + 0.5 * np.sin(2 * np.pi * 3 * time))
    noise = np.random.default_rng(1).standard_normal((2, len(time)))
    return Waveform((0.06 * tones + 0.002 * noise).astype(np.float32), RATE)


def round_trip(restorer, clean):
    return restorer.codec.decode(restorer.codec.encode(clean), clean.num_samples)


def loss_db(found, clean):
    """Error against `clean`, not scaled to fit: what random weights decode to has no likeness that SI-SDR could see."""
    return 10 * np.log10(np.square(found.samples - clean.samples).mean() / np.square(clean.samples).mean())


def test_what_is_left_alone_is_the_input_and_not_the_codec(lossy):
    clean, restorer = music(), lossy(0.001)
    assert np.array_equal(restorer.restore(clean).samples, clean.samples)
    assert not np.allclose(round_trip(restorer, clean).samples, clean.samples, atol=1e-2)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_small_corrections_everywhere_cost_no_more_than_the_codec(lossy, strength):
    """Of about -35 dB, which is above what is left out as a trifle."""
    clean, restorer = music(), lossy(0.02)
    restored = restorer.restore(clean, strength=strength)
    assert not np.array_equal(restored.samples, clean.samples)
    assert loss_db(restored, clean) < loss_db(round_trip(restorer, clean), clean) + 1.0


def test_what_is_left_alone_beside_a_correction_is_the_input_too(lossy, monkeypatch):
    clean, restorer = music(3.0), lossy(0.1)
    whole = restorer.restore(clean).samples
    guard = restoring.without_trifles

    def only_in_the_middle(correction, *others):
        kept = guard(correction, *others)
        kept[:, : kept.shape[1] // 3] = 0
        kept[:, 2 * kept.shape[1] // 3 :] = 0
        return kept

    monkeypatch.setattr(restoring, "without_trifles", only_in_the_middle)
    found = restorer.restore(clean).samples
    middle = slice(int(1.1 * RATE), int(1.9 * RATE))
    assert not np.array_equal(whole[:, :RATE], clean.samples[:, :RATE])
    assert np.array_equal(found[:, : int(0.85 * RATE)], clean.samples[:, : int(0.85 * RATE)])
    assert np.array_equal(found[:, int(2.15 * RATE) :], clean.samples[:, int(2.15 * RATE) :])
    assert not np.array_equal(found[:, middle], clean.samples[:, middle])
    steps = [np.abs(np.diff(one)).max() for one in (found, whole, clean.samples)]
    assert steps[0] <= max(steps[1:]) * 1.1


def test_a_file_without_a_fault_is_copied_and_strength_nothing_too(lossy, tmp_path):
    soundfile.write(tmp_path / "in.wav", music().samples.T, RATE, subtype="PCM_16")
    before = (tmp_path / "in.wav").read_bytes()
    assert restore_file(tmp_path / "in.wav", tmp_path / "kept.wav", lossy(0.001))["copied"]
    nothing = RestoreSettings(strength=0)
    assert restore_file(tmp_path / "in.wav", tmp_path / "none.wav", lossy(0.5), nothing)["copied"]
    assert {(tmp_path / name).read_bytes() for name in ("kept.wav", "none.wav")} == {before}
