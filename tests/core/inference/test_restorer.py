import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data.dataset import Stretch
from audiobuff_core.errors import EncoderUnavailable, InvalidAudio, InvalidConfig, OutputNotWritable, StoreMismatch
from audiobuff_core.flow.guidance import ALL_HIDDEN, ALL_SHOWN
from audiobuff_core.inference.opened import open_model
from audiobuff_core.inference.restore_file import restore_file
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.inference.windows import Conditions, WindowedField, plan_windows, window_weights
from audiobuff_core.models.backbone import HEAD_SCALE


def _tone(seconds: float, rate: int, channels: int = 1) -> Waveform:
    time = np.arange(round(seconds * rate)) / rate
    rows = [0.3 * np.sin(2 * np.pi * 440 * (row + 1) * time) for row in range(channels)]
    return Waveform(np.stack(rows).astype(np.float32), rate)


@given(st.integers(1, 500), st.integers(4, 64), st.integers(1, 3))
def test_windows_cover_every_frame_and_overlap(num_frames: int, window_frames: int, share: int) -> None:
    overlap = window_frames * share // 4
    windows = plan_windows(num_frames, window_frames, overlap)
    assert windows[0].first == 0
    assert windows[-1].last == num_frames
    for before, after in itertools.pairwise(windows):
        assert before.first < after.first <= before.last - overlap
        assert after.last - after.first == before.last - before.first <= window_frames
    if len(windows) > 1:  # one fewer would not do
        assert (len(windows) - 1) * (window_frames - overlap) + overlap < num_frames
    assert all(float(window_weights(window, num_frames, overlap).min()) > 0 for window in windows)


def test_a_constant_field_has_no_seams(restorer: Restorer) -> None:
    """Where all windows agree, the averaged velocity is theirs, everywhere."""
    head = restorer.model.vfn.head.fields
    num_frames, precision = 150, "fp32"
    stretch = Stretch(
        torch.zeros(90, restorer.hearing.structure.feature_dim), torch.arange(90, dtype=torch.float64) / 50
    )
    semantic = Stretch(
        torch.zeros(12, restorer.hearing.semantic.feature_dim), torch.arange(12, dtype=torch.float64) / 6.25
    )
    conditions = Conditions(torch.zeros(2, num_frames, 512), 44_100 / 512, stretch, semantic, tau=0.0)
    field = WindowedField(
        restorer.model, conditions, window_frames=32, overlap_frames=8, precision=precision, device=torch.device("cpu")
    )
    before = head.bias.detach().clone()
    try:
        # sigmoid(0) x (0 x_t + 0 damaged + 1) = 1/2
        head.bias.data[2 * 512 : 3 * 512] = 1.0 / HEAD_SCALE
        velocity = field(torch.zeros(2, num_frames, 512), torch.zeros(2))
        both = field(torch.zeros(4, num_frames, 512), torch.zeros(4), (ALL_HIDDEN, ALL_SHOWN))
    finally:
        head.bias.data = before
    assert torch.allclose(velocity, torch.full_like(velocity, 0.5), atol=1e-6)
    assert both.shape == (4, num_frames, 512)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from([8_000, 22_050, 44_100, 48_000, 96_000]), st.integers(1, 2), st.integers(3_000, 40_000))
def test_a_network_that_changes_nothing_gives_the_recording_back(
    restorer: Restorer, rate: int, channels: int, num_samples: int
) -> None:
    tone = _tone(num_samples / rate, rate, channels)
    restored = restorer.restore(tone)
    assert restored.sample_rate == rate
    assert restored.samples.shape == tone.samples.shape
    inner = slice(200, -200)
    assert float(np.abs(restored.samples[:, inner] - tone.samples[:, inner]).max()) < 5e-3


def test_the_same_seed_restores_the_same(restorer: Restorer) -> None:
    tone = _tone(0.6, 44_100)
    one, two, other = (restorer.restore(tone, tau=0.5, seed=seed).samples for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_the_source_noise_follows_tau(restorer: Restorer) -> None:
    tone = _tone(0.5, 44_100)

    def error(tau: float) -> float:
        return float(np.square(restorer.restore(tone, tau=tau).samples - tone.samples).mean())

    assert error(0.0) < 1e-8 < error(0.2) < error(0.8)


def test_options_out_of_range_are_named(restorer: Restorer) -> None:
    with pytest.raises(InvalidConfig, match="0 steps"):
        restorer.restore(_tone(0.2, 44_100), steps=0)
    with pytest.raises(InvalidConfig, match=r"tau 1\.5"):
        restorer.restore(_tone(0.2, 44_100), tau=1.5)
    for wrong in ({"cfg_interval": (0.4, 0.2)}, {"cfg_interval": (0.0, 1.5)}, {"sway": 1.76}, {"sway": -1.5}):
        with pytest.raises(InvalidConfig, match="expected 0 <= begin < end <= 1, and a sway"):
            restorer.restore(_tone(0.2, 44_100), **wrong)
    with pytest.raises(InvalidConfig, match="Method 'rk4': expected one of euler"):
        restorer.restore(_tone(0.2, 44_100), method="rk4")
    with pytest.raises(InvalidConfig, match="No option strenght: expected any of steps"):
        restorer.restore(_tone(0.2, 44_100), strenght=0.5)


def test_arrays_come_back_as_they_were_given_and_odd_rates_are_refused(restorer: Restorer) -> None:
    given = torch.from_numpy(_tone(0.2, 44_100).samples[0])
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        back = restorer.restore(given.to(dtype), 44_100, strength=0.0)
        assert back.dtype == dtype
        assert torch.equal(back, given.to(dtype))
    with pytest.raises(InvalidAudio, match=r"44100\.5 Hz: expected a whole number"):
        restorer.restore(given, 44_100.5)
    with pytest.raises(InvalidAudio, match="as list: expected a NumPy array"):
        restorer.restore([0.1, 0.2], 44_100)


def test_a_model_of_other_encoders_is_refused(export: Path, tmp_path: Path) -> None:
    shutil.copytree(export, tmp_path / "other")
    config = json.loads((tmp_path / "other" / "config.json").read_text())
    config["meta"]["identities"]["target"]["revision"] = "0"
    (tmp_path / "other" / "config.json").write_text(json.dumps(config))
    with pytest.raises(StoreMismatch, match="target encoder"):
        Restorer.load(str(tmp_path / "other"))


def test_encoders_from_elsewhere_must_be_the_same_ones(export: Path) -> None:
    opened = open_model(str(export))
    assert Restorer(opened, encoders={"codec": "builtin"}).codec.identity.name == "builtin-mdct"
    opened.meta["encoders"]["codec"] = "dac:/gone/weights.pth"  # as where it was trained
    with pytest.raises(EncoderUnavailable, match="/gone/weights"):
        Restorer(opened)
    assert Restorer(opened, encoders={"codec": "builtin"}).codec.identity.name == "builtin-mdct"


def test_bad_requests_leave_nothing(restorer: Restorer, tmp_path: Path) -> None:
    write_audio(tmp_path / "in.wav", _tone(0.5, 44_100))
    write_audio(tmp_path / "one.wav", Waveform(np.ones((1, 1), np.float32), 44_100))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InvalidConfig, match="never overwritten"):
        restore_file(tmp_path / "in.wav", tmp_path / "in.wav", restorer)
    with pytest.raises(InvalidConfig, match=r"or one of \.wav"):
        restore_file(tmp_path / "in.wav", tmp_path / "out.txt", restorer)
    with pytest.raises(InvalidAudio, match=r"1 sample\(s\).*expected at least 0.05 s"):
        restore_file(tmp_path / "one.wav", tmp_path / "out.wav", restorer)
    with pytest.raises(OutputNotWritable):
        restore_file(tmp_path / "in.wav", tmp_path / "in.wav" / "out.wav", restorer)
    assert sorted(tmp_path.iterdir()) == before
