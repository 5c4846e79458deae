"""Each metric twice: a closed form or published value, and more damage is worse."""

import numpy as np
import pytest
from measured_sounds import falls, measured, music, noise

from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.lsd import POWER_FLOOR, WINDOW_SAMPLES, lsd_log10

DAMAGED = ("si_sdr_db", "lsd_db", "lsd_log10", "zimtohrli", "visqol_mos")


@pytest.fixture(scope="module")
def clean():
    return music()


@pytest.fixture(scope="module")
def worse(clean):
    """The clean sound under more and more noise: 40, 25 and 10 dB SNR."""
    hiss = noise("hiss", len(clean), np.sqrt(np.mean(clean**2)))
    return [clean + hiss * 10 ** (-ratio_db / 20) for ratio_db in (40, 25, 10)]


@pytest.mark.parametrize("name", DAMAGED)
def test_more_noise_is_worse(name, clean, worse):
    first = 0 if name != "si_sdr_db" else 1  # it is held to 30 dB
    assert falls(name, [measured(name, clean, estimate) for estimate in worse][first:])


@pytest.mark.parametrize(
    ("name", "best"), [("si_sdr_db", 30), ("lsd_db", 0), ("lsd_log10", 0), ("zimtohrli", 0), ("visqol_mos", 4.732)]
)
def test_a_copy_has_the_best_value(name, best, clean):
    assert measured(name, clean, clean) == pytest.approx(best, abs=2e-3)


def test_lsd_log10_of_a_level_change_is_its_tenth_and_has_its_own_floor():
    sound = noise("sound", 20_000, 0.1)
    assert lsd_log10(sound, sound * 10 ** (-6 / 20)) == pytest.approx(0.6, abs=1e-3)
    tone = np.sin(2 * np.pi * 100 / WINDOW_SAMPLES * np.arange(WINDOW_SAMPLES))
    heights = np.log10((WINDOW_SAMPLES / 4) ** 2 * np.array([1, 0.25, 0.25]) + POWER_FLOOR) - np.log10(POWER_FLOOR)
    expected = np.sqrt(np.sum(heights**2) / (WINDOW_SAMPLES / 2 + 1))
    assert lsd_log10(tone, np.zeros_like(tone)) == pytest.approx(expected, rel=1e-3)


def test_visqol_needs_a_second(clean):
    with pytest.raises(NotMeasurable, match="shorter than 1 s"):
        measured("visqol_mos", clean[:24_000], clean[:24_000])
