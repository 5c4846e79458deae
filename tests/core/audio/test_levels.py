"""Noise floor, silence, true peak and width against closed forms."""

import numpy as np
import pytest

from audiobuff_core.audio.levels import quiet_parts, true_peak_db
from audiobuff_core.audio.stereo import stereo_width
from audiobuff_core.audio.waveform import Waveform


def noise(db, seconds, sample_rate=44_100, seed=0):
    samples = np.random.default_rng(seed).standard_normal(int(seconds * sample_rate))
    return (10 ** (db / 20) * samples).astype(np.float32)


def test_the_floor_is_the_level_of_what_is_quiet():
    samples = np.concatenate([noise(-20, 1.0), noise(-50, 1.0), np.zeros(22_050, np.float32)])
    floor_db, silence = quiet_parts(Waveform(samples[None], 44_100))
    assert floor_db == pytest.approx(-50, abs=0.5)
    assert silence == pytest.approx(0.2, abs=0.01)
    assert quiet_parts(Waveform(np.zeros((2, 9), np.float32), 8_000)) == (None, 1.0)
    assert quiet_parts(Waveform(np.full((1, 1), 0.1, np.float32), 8_000))[0] == pytest.approx(-20, abs=0.01)


def test_the_true_peak_lies_between_samples():
    # A tone of a quarter of the rate, sampled 45 degrees off its peaks, reads 3.01 dB too low by its samples.
    angle = np.pi / 2 * np.arange(48_000 * 12) + np.pi / 4
    tone = Waveform((0.5 * np.sin(angle)).astype(np.float32)[None], 48_000)
    assert 20 * np.log10(np.abs(tone.samples).max()) == pytest.approx(-9.03, abs=0.01)
    inner = Waveform(tone.samples[:, :400_000] * np.hanning(400_000).astype(np.float32), 48_000)
    assert true_peak_db(inner) == pytest.approx(-6.02, abs=0.1)
    assert true_peak_db(Waveform(np.zeros((1, 5), np.float32), 8_000)) is None
    assert true_peak_db(Waveform(np.full((1, 1), 0.5, np.float32), 8_000)) == pytest.approx(-6.02, abs=0.1)


def test_the_true_peak_does_not_depend_on_blocks(monkeypatch):
    from audiobuff_core.audio import levels

    waveform = Waveform(noise(-12, 1.0)[None], 44_100)
    whole = true_peak_db(waveform)
    monkeypatch.setattr(levels, "BLOCK_SAMPLES", 4_000)
    assert true_peak_db(waveform) == pytest.approx(whole, abs=0.02)


def test_width_goes_from_mono_over_strangers_to_opposites():
    left, right = noise(-20, 1.0), noise(-20, 1.0, seed=1)
    assert stereo_width(Waveform(np.stack([left, left]), 44_100)) == 0.0
    assert stereo_width(Waveform(np.stack([left, right]), 44_100)) == pytest.approx(0.5, abs=0.01)
    assert stereo_width(Waveform(np.stack([left, -left]), 44_100)) == 1.0
    assert stereo_width(Waveform(left[None], 44_100)) is None
    assert stereo_width(Waveform(np.zeros((2, 5), np.float32), 44_100)) is None
