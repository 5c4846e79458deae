"""Resampling keeps time, tone and length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidAudio

RATES = st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])


@given(num_samples=st.integers(1, 3000), old=RATES, new=RATES, channels=st.integers(1, 2))
def test_sample_counts_are_exact_and_values_finite(num_samples, old, new, channels):
    samples = np.random.default_rng(num_samples).uniform(-1, 1, (channels, num_samples)).astype(np.float32)
    changed = resample(Waveform(samples, old), new)
    assert changed.samples.shape == (channels, max(1, round(num_samples * new / old)))
    assert changed.sample_rate == new


def test_an_equal_rate_gives_the_very_waveform():
    waveform = Waveform(np.ones((1, 10), np.float32), 8_000)
    assert resample(waveform, 8_000) is waveform


@pytest.mark.parametrize(("old", "new"), [(44_100, 48_000), (48_000, 16_000), (8_000, 44_100)])
def test_a_tone_stays_in_time_and_at_its_level(old, new):
    def tone(rate):
        return np.sin(2 * np.pi * 1000 * np.arange(rate) / rate).astype(np.float32)[None]

    changed = resample(Waveform(tone(old), old), new)
    inner = slice(new // 10, -new // 10)
    assert np.abs(changed.samples - tone(new))[:, inner].max() < 1e-4


def test_what_is_above_the_new_nyquist_rate_is_gone():
    tone = np.sin(2 * np.pi * 15_000 * np.arange(44_100) / 44_100).astype(np.float32)[None]
    assert np.abs(resample(Waveform(tone, 44_100), 16_000).samples[:, 1000:-1000]).max() < 1e-5


def test_impossible_rates_are_refused():
    with pytest.raises(InvalidAudio, match="Sample rate 0 Hz"):
        resample(Waveform(np.ones((1, 10), np.float32), 8_000), 0)
