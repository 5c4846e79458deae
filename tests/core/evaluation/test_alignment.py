import numpy as np
import pytest
from measured_sounds import music, noise

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.evaluation.alignment import constant_delay

RATE = 16_000


def wave(samples):
    return Waveform(np.atleast_2d(samples).astype(np.float32), RATE)


@pytest.mark.parametrize("shift", [3, 37, -37, 1600])
def test_a_shift_is_found_to_the_sample_also_under_noise(shift):
    clean = music(2, RATE)
    damaged = clean + noise("more", len(clean), 0.01)
    assert constant_delay(wave(clean), wave(np.roll(damaged, shift))) == shift


def test_damage_that_shifts_nothing_is_no_delay():
    clean = music(2, RATE)
    for other in (clean, -clean, clean * 0.01, np.clip(clean, -0.02, 0.02), np.convolve(clean, np.ones(9) / 9, "same"),
                  clean + noise("loud", len(clean), 0.3), np.zeros_like(clean)):  # fmt: skip
        assert constant_delay(wave(clean), wave(other)) is None


def test_a_tone_and_silence_tell_no_delay():
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    assert constant_delay(wave(tone), wave(tone + noise("some", len(tone), 0.05))) is None
    assert constant_delay(wave(np.zeros(RATE)), wave(np.zeros(RATE))) is None
    assert constant_delay(wave(np.ones(1)), wave(np.ones(1))) is None


def test_wow_is_no_delay():
    clean, times = music(3, RATE), np.arange(3 * RATE)
    warped = np.interp(times + 20 * np.sin(2 * np.pi * 0.5 * times / RATE), times, clean)
    assert constant_delay(wave(clean), wave(warped)) is None
