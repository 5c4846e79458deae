"""The original's command: its flags are frozen, our models and the original's restore by it."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs import registry
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.inference import generate
from audiobuff_core.inference.legacy_network import LegacyNetwork
from audiobuff_core.inference.loading import load_checkpoint
from audiobuff_core.inference.opened import open_model
from audiobuff_core.models.conditioning import SideStream

LEGACY = Path(__file__).parents[2] / "fixtures" / "legacy"
RATE = 8_000


class BlockCodec:
    """Latents of 32 samples a frame, as they are."""

    sample_rate, hop_length, latent_dim, frame_rate = RATE, 32, 32, Fraction(RATE, 32)
    identity = EncoderIdentity("blocks", "1", "0" * 8)

    def encode(self, waveform: Waveform) -> FrameSequence:
        samples = torch.from_numpy(resample(waveform, RATE).samples)
        padded = torch.nn.functional.pad(samples, (0, 64 - samples.shape[1] % 32))
        return FrameSequence(padded.reshape(samples.shape[0], -1, 32), self.frame_rate)

    def decode(self, frames: FrameSequence, num_samples: int) -> Waveform:
        return Waveform(frames.values.flatten(1)[:, :num_samples].numpy(), RATE)

    def dims_below(self, hz: float) -> None:
        return None


class Twenties:
    """A semantic stream 20 wide, at 10 frames a second."""

    sample_rate, feature_dim, frame_rate = RATE, 20, Fraction(10)
    identity = EncoderIdentity("twenties", "1", "0" * 8)

    def encode(self, waveform: Waveform) -> FrameSequence:
        frames = int(waveform.duration_seconds * 10) + 1
        return FrameSequence(torch.linspace(-1, 1, frames * 20).reshape(1, frames, 20), self.frame_rate)


@pytest.fixture
def small_encoders(monkeypatch):
    monkeypatch.setitem(registry.CODECS, "blocks", f"{__name__}:BlockCodec")
    monkeypatch.setitem(registry.SEMANTIC_ENCODERS, "twenties", f"{__name__}:Twenties")
    return ["--codec", "blocks", "--structure", "builtin", "--semantic", "twenties"]


@pytest.fixture
def damaged(tmp_path):
    soundfile.write(tmp_path / "in.wav", 0.1 * np.sin(np.arange(RATE) / 9), RATE, subtype="PCM_16")
    return tmp_path / "in.wav"


def test_the_flags_of_the_original_are_frozen():
    told = vars(generate.parser().parse_args(["--input", "a", "--output", "b", "--checkpoint", "c"]))
    frozen = {
        "input": "a", "output": "b", "checkpoint": "c", "cfg": 1.5, "steps": 32, "chunk_tokens": 256,
        "hop_tokens": 128, "dac_model_type": "44khz", "sample_rate": None, "in_channels": None, "d_model": None,
        "n_heads": None, "depth": None, "xcodec_dim": None, "mae_dim": None,
    }  # fmt: skip
    assert frozen.items() <= told.items()
    assert {f"--{name}" for name in frozen} <= set(generate.parser()._option_string_actions)
    with pytest.raises(SystemExit):
        generate.parser().parse_args(["--output", "b", "--checkpoint", "c"])


@pytest.mark.parametrize("name", ["checkpoint_epoch_3.pt", "component_only.pt", "model_state_only.pt"])
def test_each_layout_of_the_original_restores(small_encoders, damaged, tmp_path, name):
    out = tmp_path / "out.wav"
    told = ["--input", str(damaged), "--output", str(out), "--checkpoint", str(LEGACY / name), "--steps", "2"]
    assert generate.main([*told, "--chunk_tokens", "64", "--hop_tokens", "32", *small_encoders]) == 0
    samples, rate = soundfile.read(out)
    assert (samples.shape, rate) == ((RATE,), RATE)
    assert samples.std() > 0


def test_the_network_of_the_original_is_called_as_it_was():
    """Padding is not seen, a dropped stream is the original's null, and each item has its own."""
    reference = torch.load(LEGACY / "reference_io.pt", weights_only=True)
    checkpoint = load_checkpoint(LEGACY / "checkpoint_epoch_3.pt")
    x_t, t = reference["x_t"], reference["t"]

    def side(values, dropped):
        padded = torch.cat([values, torch.full_like(values, 9.0)], dim=1)
        times = torch.arange(padded.shape[1], dtype=torch.float64).expand(padded.shape[:2])
        valid = (times < values.shape[1]).clone()
        return SideStream(padded, times, valid, torch.full((values.shape[0],), dropped))

    network, nothing = LegacyNetwork(checkpoint.network("ema")), torch.zeros(0)
    with torch.no_grad():
        for dropped in (False, True):
            streams = side(reference["xcodec"], dropped), side(reference["mae"], False)
            velocity = network(x_t, t, nothing, nothing, nothing, nothing, *streams).velocity
            xcodec = None if dropped else reference["xcodec"]
            expected = checkpoint.velocity(x_t, t, xcodec=xcodec, audiomae=reference["mae"])
            assert torch.allclose(velocity, expected, atol=1e-6)
            if not dropped:
                assert torch.allclose(velocity, reference["ema_velocity"], atol=1e-5)


def test_times_of_guidance_and_of_the_solver_can_be_told(small_encoders, damaged, tmp_path, capsys):
    def samples(name, *more):
        told = ["--input", str(damaged), "--output", str(tmp_path / name), "--steps", "2", *small_encoders, *more]
        assert generate.main([*told, "--checkpoint", str(LEGACY / "checkpoint_epoch_3.pt")]) == 0
        return soundfile.read(tmp_path / name)[0]

    plain = samples("plain.wav")
    neutral, late = samples("neutral.wav", "--cfg", "1"), samples("late.wav", "--cfg_interval", "0.6", "1")
    early, swayed = samples("early.wav", "--cfg_interval", "0", "0.5"), samples("swayed.wav", "--sway", "-0.8")
    assert np.array_equal(late, neutral)  # Euler looks at 0 and 0.5 alone
    assert np.array_equal(samples("whole.wav", "--cfg_interval", "0", "1", "--sway", "0"), plain)
    for other in (neutral, early, swayed, samples("heun.wav", "--solver", "heun")):
        assert not np.array_equal(other, plain)
    assert not np.array_equal(early, neutral)
    told = json.loads((tmp_path / "swayed.wav.json").read_text())["settings"]
    assert (told["sway"], told["cfg_interval"]) == (-0.8, [0.0, 1.0])
    assert json.loads((tmp_path / "early.wav.json").read_text())["settings"]["cfg_interval"] == [0.0, 0.5]


def test_sizes_that_contradict_are_named_with_both_values(small_encoders, damaged, export, tmp_path, capsys):
    told = ["--input", str(damaged), "--output", str(tmp_path / "out.wav"), "--checkpoint"]
    assert generate.main([*told, str(LEGACY / "checkpoint_epoch_3.pt"), "--xcodec_dim", "512", *small_encoders]) == 1
    assert "--xcodec_dim 512 but the model has 24" in capsys.readouterr().err
    assert generate.main([*told, str(export), "--in_channels", "1024"]) == 1
    assert "--in_channels 1024 but the model has 512" in capsys.readouterr().err
    assert generate.main([*told, str(export), "--hop_tokens", "300"]) == 1
    assert "--hop_tokens 300, --chunk_tokens 256" in capsys.readouterr().err
    assert generate.main([*told, str(export), "--device", "toaster"]) == 1
    assert "--device toaster can't be used here" in capsys.readouterr().err
    assert not (tmp_path / "out.wav").exists()
    with pytest.raises(InvalidConfig, match="in_channels 32 but builtin-mdct gives 512"):
        open_model(str(LEGACY / "checkpoint_epoch_3.pt"), legacy_encoders=registry.EncoderChoice())


def test_our_export_restores_at_another_rate(damaged, export, tmp_path):
    out = tmp_path / "out.wav"
    told = ["--input", str(damaged), "--output", str(out), "--checkpoint", str(export), "--steps", "1"]
    assert generate.main([*told, "--sample_rate", "16000", "--in_channels", "512"]) == 0
    assert soundfile.info(out).samplerate == 16_000
    assert soundfile.info(out).frames == 2 * RATE


def test_a_rate_in_kilohertz_is_refused(damaged, export, tmp_path, capsys):
    out = tmp_path / "out.wav"
    told = ["--input", str(damaged), "--output", str(out), "--checkpoint", str(export)]
    assert generate.main([*told, "--sample_rate", "44"]) == 1
    assert "--sample_rate 44: expected hertz, 8000 or more" in capsys.readouterr().err
    assert not out.exists()


def test_a_missing_input_is_one_line_where_the_output_is_there(export, tmp_path, capsys):
    out = tmp_path / "out.wav"
    out.write_bytes(b"of an earlier run")
    assert generate.main(["--input", str(tmp_path / "no.wav"), "--output", str(out), "--checkpoint", str(export)]) == 1
    assert "no such file; check the path" in capsys.readouterr().err
    assert out.read_bytes() == b"of an earlier run"
