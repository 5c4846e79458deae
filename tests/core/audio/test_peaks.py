"""Peaks between samples are found, and held where they exceed, nowhere else."""

import numpy as np
import pytest

from audiobuff_core.audio.measures import measure
from audiobuff_core.audio.peaks import limit_peaks, true_peak
from audiobuff_core.audio.waveform import Waveform

RATE = 48_000


def tone(hertz, seconds=1.0, phase=0.0, amplitude=1.0):
    time = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time + phase)).astype(np.float32)[None]


def test_the_peak_of_a_tone_is_between_its_samples():
    """A quarter of the rate at 45 degrees: no sample above 0.7071, the tone reaches 1."""
    waveform = Waveform(tone(RATE / 4, phase=np.pi / 4), RATE)
    assert float(np.abs(waveform.samples).max()) == pytest.approx(2**-0.5, abs=1e-4)
    assert true_peak(Waveform(waveform.samples[:, 5000:40_000], RATE)) == pytest.approx(1.0, abs=0.02)


def test_blocks_hide_nothing():
    samples = 0.01 * tone(997, 3.0)
    samples[0, 70_003] = 0.9  # an impulse is its own true peak
    assert true_peak(Waveform(samples, RATE)) == pytest.approx(0.9, abs=0.02)


def test_what_exceeds_is_held_and_the_rest_stays():
    samples = np.concatenate([0.5 * tone(440, 2.0), 0.25 * tone(440, 2.0)])
    samples[:, 48_000:48_200] *= 3
    before = samples.copy()
    places = limit_peaks(samples, RATE, largest=1.0, largest_true=1.0)
    assert len(places) == 1
    first, last = places[0]
    assert 47_000 < first < 48_000 < 48_200 < last < 49_200
    away = np.r_[0:first, last : samples.shape[1]]
    assert np.array_equal(samples[:, away], before[:, away])
    assert float(np.abs(samples).max()) <= 1.0
    loud = np.abs(before[0]) > 0.1
    assert np.allclose(samples[1, loud] / samples[0, loud], 0.5, atol=1e-5)  # both channels alike
    assert limit_peaks(samples[:, :40_000], RATE, largest=1.0, largest_true=1.0) == []


def test_a_recording_in_stretches_measures_as_a_whole():
    whole = Waveform(tone(1_000, 4.0, amplitude=0.1), RATE)
    halves = [Waveform(whole.samples[:, part], RATE) for part in (slice(0, 96_000), slice(96_000, None))]
    one, two = measure([whole]), measure(halves)
    assert one["rms_db"] == pytest.approx(-23.01, abs=0.01)
    assert one["loudness_lufs"] == pytest.approx(-23.0, abs=0.1)  # BS.1770: 1 kHz at -20 dBFS is -23.0 LUFS
    for name in one:
        assert two[name] == pytest.approx(one[name], abs=0.02 if name != "bandwidth_hz" else 60)


def test_silence_has_no_levels():
    measured = measure([Waveform(np.zeros((2, 4_000), np.float32), RATE)])
    assert (measured["peak_db"], measured["true_peak_db"], measured["rms_db"], measured["loudness_lufs"]) == (
        None, None, None, None,
    )  # fmt: skip
    assert measured["bandwidth_hz"] == 0.0
