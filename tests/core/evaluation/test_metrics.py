import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiobuff_core.errors import InvalidAudio
from audiobuff_core.evaluation.metrics.lsd import FLOOR_DB, log_power_db, lsd_db
from audiobuff_core.evaluation.metrics.si_sdr import held, si_sdr_db
from audiobuff_core.seeding import numpy_generator

RATE = 44_100


def noise(key, num_samples=RATE, level=0.1):
    return numpy_generator(key).normal(0, level, num_samples)


def orthogonal_to(signal, other):
    """`other` without its mean and without any of `signal`."""
    signal = signal - signal.mean()
    other = other - other.mean()
    return other - (other @ signal) / (signal @ signal) * signal


@pytest.mark.parametrize("ratio_db", [-25.0, -3.0, 0.0, 10.0, 40.0])
def test_si_sdr_is_the_ratio_that_was_mixed(ratio_db):
    clean = noise("clean")
    wrong = orthogonal_to(clean, noise("wrong"))
    zero_mean = clean - clean.mean()
    wrong *= np.sqrt(zero_mean @ zero_mean / (wrong @ wrong)) * 10 ** (-ratio_db / 20)
    assert si_sdr_db(clean, clean + wrong) == pytest.approx(ratio_db, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(gain=st.floats(0.01, 100), sign=st.sampled_from([-1, 1]), offset=st.floats(-1, 1))
def test_si_sdr_ignores_level_polarity_and_dc(gain, sign, offset):
    clean, damaged = noise("clean", 4000), noise("clean", 4000) + noise("wrong", 4000)
    assert si_sdr_db(clean, sign * gain * damaged + offset) == pytest.approx(si_sdr_db(clean, damaged), abs=1e-6)


def test_si_sdr_of_copies_and_of_nothing():
    clean = noise("clean")
    assert si_sdr_db(clean, clean) == math.inf
    assert si_sdr_db(clean, np.zeros_like(clean)) == -math.inf
    assert held(math.inf) == 30
    assert held(-math.inf) == -30
    assert held(12.5) == 12.5


def test_si_sdr_refuses_what_has_no_meaning():
    with pytest.raises(InvalidAudio, match="undefined"):
        si_sdr_db(np.full(100, 0.3), noise("x", 100))
    with pytest.raises(InvalidAudio, match="expected two equal"):
        si_sdr_db(noise("x", 100), noise("x", 101))


def test_lsd_of_a_level_change_is_that_change():
    clean = noise("clean")
    assert lsd_db(clean, clean) == 0
    assert lsd_db(clean, clean * 10 ** (-6 / 20)) == pytest.approx(6.0, abs=1e-4)
    assert lsd_db(clean, -clean) == pytest.approx(0, abs=1e-9)


def test_lsd_averages_frames_after_the_root():
    # First half 12 dB lower, second half equal: the mean over frames is near 6, the root of the mean square is not.
    clean = noise("clean", 512 * 400)
    other = clean.copy()
    other[: 512 * 200] *= 10 ** (-12 / 20)
    assert lsd_db(clean, other) == pytest.approx(6.0, abs=0.1)


def test_lsd_of_silence_against_a_signal_is_its_height_over_the_floor():
    silence = np.zeros(RATE)
    assert (log_power_db(silence) == FLOOR_DB).all()
    assert lsd_db(silence, silence) == 0
    dither = np.round(noise("dither", RATE, 0.3) + 0.5) / 32768
    assert lsd_db(silence, dither - dither.mean()) < 1.0


def test_full_scale_sine_reads_zero_decibels():
    times = np.arange(RATE) / RATE
    sine = np.sin(2 * np.pi * (100 * RATE / 2048) * times)
    assert log_power_db(sine)[:-4, 100] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("num_samples", "frames"), [(1, 1), (2048, 1), (2049, 2), (2560, 2), (2561, 3)])
def test_every_sample_is_in_a_frame(num_samples, frames):
    assert log_power_db(noise("x", num_samples)).shape == (frames, 1025)


def test_lsd_refuses_unequal_lengths():
    with pytest.raises(InvalidAudio, match="expected two equal"):
        lsd_db(noise("x", 100), noise("x", 101))
