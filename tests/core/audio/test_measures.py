"""Loudness, level, bandwidth and clipping, against closed forms."""

import numpy as np
import pytest
from scipy import signal

from audiobuff_core.audio.bandwidth import band_edge_hz, bandwidth_hz
from audiobuff_core.audio.clipped import clipped_share
from audiobuff_core.audio.loudness import level_gain, loudness_lufs
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform


def tone(hz, amplitude=1.0, seconds=2.0, sample_rate=48_000):
    times = np.arange(int(seconds * sample_rate)) / sample_rate
    return Waveform((amplitude * np.sin(2 * np.pi * hz * times)).astype(np.float32)[None], sample_rate)


def test_a_full_scale_tone_of_1_khz_has_minus_3_lufs():
    # BS.1770: 0.997 kHz at 0 dBFS in one channel reads -3.01 LKFS.
    assert loudness_lufs(tone(997)) == pytest.approx(-3.01, abs=0.05)
    assert loudness_lufs(tone(997, amplitude=0.1)) == pytest.approx(-23.01, abs=0.05)


def test_loudness_is_none_where_the_standard_has_none():
    assert loudness_lufs(tone(997, seconds=0.3)) is None
    assert loudness_lufs(Waveform(np.zeros((1, 48_000), np.float32), 48_000)) is None
    assert loudness_lufs(Waveform(np.ones((6, 48_000), np.float32), 48_000)) is None


def test_the_gain_brings_the_rms_to_a_tenth():
    waveform = tone(440, amplitude=0.7)
    scaled = waveform.scaled(level_gain(waveform))
    assert np.sqrt(np.mean(scaled.samples**2)) == pytest.approx(0.1, rel=1e-4)


def test_the_gain_of_silence_is_bounded():
    assert level_gain(Waveform(np.zeros((2, 5), np.float32), 8_000)) == pytest.approx(1000.0)


@pytest.mark.parametrize("edge_hz", [2_000, 8_000, 15_000])
def test_bandwidth_finds_the_edge_of_noise(edge_hz):
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(44_100))
    spectrum[edge_hz + 1 :] = 0.0
    waveform = Waveform((0.1 * np.fft.irfft(spectrum, 44_100)).astype(np.float32)[None], 44_100)
    assert bandwidth_hz(waveform) == pytest.approx(edge_hz, abs=60)


def test_bandwidth_of_silence_and_of_one_sample():
    assert bandwidth_hz(Waveform(np.zeros((1, 100), np.float32), 8_000)) == 0.0
    assert 0.0 < bandwidth_hz(Waveform(np.ones((1, 1), np.float32), 8_000)) <= 4_000.0


def test_clipped_share_counts_flat_tops_only():
    whole = tone(100, amplitude=0.9, sample_rate=8_000)
    assert clipped_share(whole) < 0.02  # neighbours at the turning point are rarely equal
    cut = np.clip(whole.samples, -0.45, 0.45)
    flat = float(np.mean(np.abs(cut) >= 0.45 - 1e-7))
    assert clipped_share(Waveform(cut, 8_000)) == pytest.approx(flat, abs=0.01)
    assert clipped_share(Waveform(np.zeros((1, 50), np.float32), 8_000)) == 0.0
    assert clipped_share(Waveform(np.array([[0, 1, 1, 0, 1, 1, 1, 0]], np.float32), 8_000)) == pytest.approx(3 / 8)


def full_band(seconds=1.0):
    return Waveform(
        0.1 * np.random.default_rng(3).standard_normal((1, int(44_100 * seconds))).astype(np.float32), 44_100
    )


@pytest.mark.parametrize("lower_rate", [8_000, 16_000, 22_050, 32_000])
def test_an_edge_is_where_a_lower_rate_ended(lower_rate):
    raised = resample(resample(full_band(), lower_rate), 44_100)
    dithered = raised.samples + np.random.default_rng(4).uniform(-1, 1, raised.samples.shape) / 2**15
    for samples in (raised.samples, dithered.astype(np.float32)):
        assert band_edge_hz(Waveform(samples, 44_100)) == pytest.approx(0.97 * lower_rate / 2, rel=0.03)


def test_what_nature_lacks_is_no_edge():
    times = np.arange(44_100) / 44_100
    chord = sum(np.sin(2 * np.pi * hz * times) / hz for hz in 110 * np.arange(1, 40))
    falling = signal.lfilter(*signal.butter(2, 800, fs=44_100), full_band().samples)
    siren = 0.1 * signal.chirp(times, 200, 1, 6_000)[None] + 0.02 * full_band().samples
    for samples in (full_band().samples, chord[None] + 1e-4 * full_band().samples, falling, 0 * falling, siren):
        assert band_edge_hz(Waveform(samples.astype(np.float32), 44_100)) is None
    assert band_edge_hz(Waveform(np.ones((1, 1), np.float32), 8_000)) is None
