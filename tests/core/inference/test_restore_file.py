"""A file comes back as it was but for what was repaired; what was taken out is exactly what is missing."""

import json

import numpy as np
import pytest
import soundfile
import torch

from audiobuff_core.audio.recording import read_recording
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.inference.blending import blend
from audiobuff_core.inference.restore_file import Extras, restore_file
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.inference.settings import RestoreSettings

RATE = 16_000


@pytest.fixture(scope="module")
def changing(export):
    """A network that changes what it hears."""
    restorer = Restorer.load(str(export))
    generator = torch.Generator().manual_seed(3)
    bias = restorer.model.vfn.head.fields.bias
    bias.data += 0.03 * torch.randn(bias.shape, generator=generator)
    return restorer


def music(seconds=0.5, channels=2, rate=RATE, seed=1):
    return 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * rate), channels))


def restored(folder, restorer, name="out.wav", source="in.wav", **settings):
    extras = Extras(delta=settings.pop("delta", False))
    report = restore_file(folder / source, folder / name, restorer, RestoreSettings(**settings), extras=extras)
    return report, read_recording(folder / source).stored, read_recording(folder / name).stored


def test_the_report_says_what_was_done(changing, tmp_path):
    soundfile.write(tmp_path / "in.wav", music(), RATE, subtype="PCM_16")
    report, _, _ = restored(tmp_path, changing)
    assert json.loads((tmp_path / "out.wav.json").read_text()) == report
    assert report["schema"] == "audiobuff-restoration/1"
    assert report["model"]["checkpoint_sha256"] == changing.identity["checkpoint_sha256"]
    assert report["before"]["rms_db"] == pytest.approx(-20, abs=0.5)
    assert report["after"] != report["before"]
    assert [one["id"] for one in report["repairs"]] == list(range(1, len(report["repairs"]) + 1))
    place = report["repairs"][0]
    assert (place["kind"], place["channels"], place["start_seconds"]) == ("network", [0, 1], 0.0)
    assert place["end_seconds"] == pytest.approx(0.5)


CODINGS = [
    ("PCM_U8", ".wav"), ("PCM_16", ".wav"), ("PCM_24", ".wav"), ("PCM_32", ".wav"), ("FLOAT", ".wav"),
    ("DOUBLE", ".wav"), ("PCM_S8", ".flac"), ("PCM_16", ".flac"), ("PCM_24", ".flac"),
]  # fmt: skip


@pytest.mark.parametrize(("coding", "suffix"), CODINGS)
def test_restored_and_removed_are_the_input(changing, tmp_path, coding, suffix):
    samples = music(0.3)
    samples[100:110] = 1.0  # as far as it goes
    soundfile.write(tmp_path / f"in{suffix}", samples, RATE, subtype=coding)
    report, before, after = restored(tmp_path, changing, f"out{suffix}", f"in{suffix}", delta=True)
    removed, rate = soundfile.read(report["delta"], dtype="float64", always_2d=True)
    scale = 1.0 if before.dtype.kind == "f" else 2.0 ** (1 - 8 * before.dtype.itemsize)
    assert rate == RATE
    assert not np.array_equal(before, after)
    largest_error = np.abs(after.T * scale + removed - before.T * scale).max()
    assert largest_error == 0.0 if coding != "DOUBLE" else largest_error < 1e-15  # as near as doubles are


def test_strength_nothing_is_a_copy(changing, tmp_path):
    soundfile.write(tmp_path / "in.flac", music(), RATE)
    report, _, _ = restored(tmp_path, changing, "out.flac", "in.flac", strength=0.0, delta=True)
    assert (tmp_path / "out.flac").read_bytes() == (tmp_path / "in.flac").read_bytes()
    assert (report["copied"], report["repairs"], report["before"] == report["after"]) == (True, [], True)
    assert not soundfile.read(report["delta"])[0].any()


def test_only_a_stretch_changes(changing, tmp_path):
    soundfile.write(tmp_path / "in.wav", music(2.0), RATE, subtype="PCM_24")
    report, before, after = restored(tmp_path, changing, only_seconds=(0.75, 1.25))
    inside = slice(round(0.75 * RATE), round(1.25 * RATE))
    outside = np.delete(np.arange(2 * RATE), inside)
    assert np.array_equal(before[:, outside], after[:, outside])
    assert (before[:, inside] != after[:, inside]).mean() > 0.9
    assert report["repairs"][0]["start_seconds"] == pytest.approx(0.75, abs=0.051)
    with pytest.raises(InvalidConfig, match=r"ends at 2\.000 s"):
        restored(tmp_path, changing, only_seconds=(2.5, 3.0))


def test_only_some_channels_change(changing, tmp_path):
    soundfile.write(tmp_path / "in.wav", music(channels=3), RATE, subtype="PCM_16")
    _, before, after = restored(tmp_path, changing, channels=(1, 3))
    assert np.array_equal(before[1], after[1])
    assert all((before[row] != after[row]).mean() > 0.9 for row in (0, 2))
    with pytest.raises(InvalidConfig, match=r"channels 4: .* has 3"):
        restored(tmp_path, changing, channels=(4,))


def test_repairs_of_other_channels_are_not_reported(changing, tmp_path):
    tones = 0.2 * np.sin(np.arange(RATE) * 0.05)[:, None] * np.ones(2)
    tones[5_000:5_003] += [[0.5], [-0.6], [0.4]]
    soundfile.write(tmp_path / "in.wav", tones, RATE, subtype="PCM_16")
    for wanted, found in ((None, {0, 1}), ((2,), {1})):
        report, _, _ = restored(tmp_path, changing, channels=wanted, without=("network",))
        assert {row for one in report["repairs"] for row in one["channels"]} == found


def test_settings_that_change_nothing_are_named():
    settings = RestoreSettings(steps=3, cfg_structure=2.0, strength=0.5)
    assert settings.without_effect(only_estimates=False) == []
    assert settings.without_effect(only_estimates=True) == ["steps", "cfg_structure"]
    left_out = RestoreSettings(seed=2, without=("network",))
    assert left_out.without_effect(only_estimates=False) == ["seed"]


def test_the_band_below_is_kept(changing, tmp_path):
    soundfile.write(tmp_path / "in.wav", music(2.0, 1), RATE, subtype="FLOAT")
    _, before, after = restored(tmp_path, changing, keep_below_hz=3_000.0)
    spectrum = np.abs(np.fft.rfft((after - before)[0])) / np.abs(np.fft.rfft(before[0])).mean()
    hertz = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    assert spectrum[hertz < 2_900].max() < 0.02 < spectrum[hertz > 3_100].mean()
    with pytest.raises(InvalidConfig, match="8000 Hz"):
        restored(tmp_path, changing, keep_below_hz=9_000.0)


def test_the_size_of_a_treatment_is_what_was_changed(changing, tmp_path):
    soundfile.write(tmp_path / "in.wav", music(3.0, 1) + 0.03, RATE, subtype="FLOAT")
    sizes = []
    for strength in (1.0, 0.5):
        report, before, after = restored(tmp_path, changing, strength=strength, without=("network",))
        (offset,) = [one for one in report["repairs"] if one["kind"] == "dc"]
        change = np.square(after.astype(np.float64) - before).mean()
        assert offset["size_db"] == pytest.approx(10 * np.log10(change), abs=0.5)
        sizes.append(offset["size_db"])
    assert sizes[0] - sizes[1] == pytest.approx(6.02, abs=0.02)


def test_silence_stays_silent(changing, tmp_path):
    samples = music(4.0, 2)
    samples[RATE : 3 * RATE + 800] = 0.0
    soundfile.write(tmp_path / "in.wav", samples, RATE, subtype="PCM_16")
    _, before, after = restored(tmp_path, changing, tau=0.5)
    assert not after[:, RATE + 200 : 3 * RATE + 600].any()
    assert (before[:, :RATE] != after[:, :RATE]).mean() > 0.9
    samples = music(2.0, 2)
    samples[: RATE // 10] = samples[-RATE // 10 :] = 0.0
    soundfile.write(tmp_path / "in.wav", samples, RATE, subtype="PCM_16")
    _, _, after = restored(tmp_path, changing, tau=0.5)
    assert not after[:, : RATE // 10 - 200].any()
    assert not after[:, 200 - RATE // 10 :].any()
    soundfile.write(tmp_path / "in.wav", np.zeros((RATE, 2)), RATE, subtype="PCM_16")
    report, _, after = restored(tmp_path, changing, tau=0.5)
    assert not after.any()
    assert report["copied"]


def test_peaks_are_held_where_they_would_clip_and_nowhere_else(changing, tmp_path):
    samples = music(1.0, 1)
    samples[8_000:8_400] *= 9
    soundfile.write(tmp_path / "in.wav", np.clip(samples, -1, 1), RATE, subtype="PCM_16")
    soundfile.write(tmp_path / "float.wav", np.clip(samples, -1, 1), RATE, subtype="FLOAT")
    free, _, loud = restored(tmp_path, changing, "out2.wav", "float.wav")
    report, _, held = restored(tmp_path, changing)
    assert np.abs(loud).max() > 1.05
    assert free["limited_seconds"] == []
    assert all(0.45 < begin < end < 0.58 for begin, end in report["limited_seconds"])
    assert report["limited_seconds"]
    away = np.r_[0:7_000, 9_500:16_000]
    assert np.abs(held[0, away] / 32_768 - loud[0, away]).max() < 1e-4
    assert report["after"]["true_peak_db"] < max(0.0, report["before"]["true_peak_db"]) + 0.1


def test_a_linked_pair_stays_one(changing, tmp_path):
    left = music(1.0, 1)
    soundfile.write(tmp_path / "in.wav", np.concatenate([left, left], axis=1), RATE, subtype="PCM_24")
    _, before, after = restored(tmp_path, changing, tau=0.3)
    assert not np.array_equal(before, after)
    assert np.abs(after[0] - after[1].astype(np.int64)).max() <= 256 * 4  # a few steps of rounding


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("rate", [8_000, 48_000, 192_000])
def test_any_rate_and_channels_without_harm(restorer, tmp_path, rate, channels):
    """A network that changes nothing: level within a thousandth of a dB, image and length as they were."""
    time = np.arange(rate // 4) / rate
    tones = np.stack([0.1 * np.sin(2 * np.pi * 300 * (row + 1) * time) for row in range(channels)], axis=1)
    soundfile.write(tmp_path / "in.wav", tones, rate, subtype="PCM_24")
    report, before, after = restored(tmp_path, restorer)
    assert (report["sample_rate"], report["channels"], report["num_samples"]) == (rate, channels, rate // 4)
    inner = slice(rate // 40, -rate // 40)
    error = (after - before.astype(np.float64))[:, inner] / 2**31
    assert np.abs(error).max() < 1e-4
    levels = [np.square(one[:, inner].astype(np.float64)).mean(axis=1) for one in (before, after)]
    assert np.abs(10 * np.log10(levels[1] / levels[0])).max() < 0.01


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".wav", ".m4a"])
def test_another_format_may_be_asked_for(changing, tmp_path, suffix):
    soundfile.write(tmp_path / "in.flac", music(0.5, 2, 44_100), 44_100)
    report, _, after = restored(tmp_path, changing, f"out{suffix}", "in.flac")
    assert after.shape == (2, 22_050)
    assert report["bits"] == (16 if suffix == ".wav" else None)
    with pytest.raises(InvalidConfig, match=r"out\.txt has format '\.txt'"):
        restored(tmp_path, changing, "out.txt", "in.flac")


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_channels_keep_their_order_and_band_as_m4a(restorer, tmp_path, channels):
    times = np.arange(44_100) / 44_100
    tones = [0.05 * np.sin(2 * np.pi * 100 * (row + 10) * times) for row in range(channels)]
    soundfile.write(tmp_path / "in.wav", np.stack(tones, axis=1), 44_100, subtype="PCM_16")
    after = restored(tmp_path, restorer, "out.m4a", strength=0)[2]
    assert np.abs(np.fft.rfft(after)).argmax(axis=1).tolist() == [100 * (row + 10) for row in range(channels)]


def test_the_network_can_be_left_out(changing, tmp_path):
    """Without it a clipped chord gets its peaks back, and nothing but the clipped samples changes."""
    times = np.arange(3 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * hertz * times) for hertz in (220.0, 277.2, 329.6, 523.3)) / 4
    soundfile.write(tmp_path / "in.wav", np.clip(chord, -0.6, 0.6), RATE, subtype="FLOAT")
    report, before, after = restored(tmp_path, changing, without=("network",))
    assert set(report["detected"]) == {"clipping"}
    assert report["confidence"] is None
    np.testing.assert_array_equal(after[np.abs(before) < 0.59], before[np.abs(before) < 0.59])
    assert np.abs(after).max() > 0.7
    with pytest.raises(InvalidConfig, match="nonesuch"):
        restored(tmp_path, changing, name="more.wav", without=("network", "nonesuch"))


@pytest.mark.parametrize("filled", [False, True])
def test_a_short_silence_stays_silent_unless_it_is_filled(filled):
    was = np.ones((1, RATE), np.float32)
    gap = slice(RATE // 2, RATE // 2 + RATE // 5)
    was[:, gap] = 0.0
    wet = was + (0.1 if filled else 0.0)
    wet[:, gap.start : gap.start + RATE // 60] = 0.05  # the echo of what came before
    blend(wet, lambda first, last: was[:, first:last], RATE, kept=(0, RATE), rows=[0], at_edges=(False, False))
    assert bool(wet[:, gap.start + RATE // 90 : gap.stop - RATE // 90].any()) is filled
