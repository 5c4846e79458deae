"""Each metric twice: a closed form or published value, and more damage is worse."""

import numpy as np
import pytest
from measured_sounds import falls, measured, music, noise
from scipy.fft import dct

from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.lsd import POWER_FLOOR, WINDOW_SAMPLES, lsd_log10
from audiobuff_core.evaluation.metrics.mcd import NUM_BANDS, distortion_db

DAMAGED = ("si_sdr_db", "lsd_db", "lsd_log10", "zimtohrli", "visqol_mos")


@pytest.fixture(scope="module")
def clean():
    return music()


@pytest.fixture(scope="module")
def worse(clean):
    """The clean sound under more and more noise: 40, 25 and 10 dB SNR."""
    hiss = noise("hiss", len(clean), np.sqrt(np.mean(clean**2)))
    return [clean + hiss * 10 ** (-ratio_db / 20) for ratio_db in (40, 25, 10)]


SLOW_TO_LOAD = pytest.param("visqol_mos", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [SLOW_TO_LOAD if name == "visqol_mos" else name for name in DAMAGED])
def test_more_noise_is_worse(name, clean, worse):
    first = 0 if name != "si_sdr_db" else 1  # it is held to 30 dB
    assert falls(name, [measured(name, clean, estimate) for estimate in worse][first:])


@pytest.mark.parametrize(
    ("name", "best"),
    [
        *[("si_sdr_db", 30), ("lsd_db", 0), ("lsd_log10", 0), ("zimtohrli", 0)],
        pytest.param("visqol_mos", 4.732, marks=pytest.mark.slow),
    ],
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


def test_below_and_above_the_edge_of_the_band_are_told_apart():
    rate, sound = 16_000, noise("wide", 16_000, 0.1)
    spectrum = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(len(sound), 1 / rate)
    degraded = np.fft.irfft(np.where(hertz < 4_000, spectrum, 0), len(sound))

    def with_levels(low_db, high_db):
        gains = np.where(hertz < 4_000, 10 ** (low_db / 20), 10 ** (high_db / 20))
        return np.fft.irfft(spectrum * gains, len(sound))

    values = {
        name: [measured(name, sound, with_levels(*levels), rate, degraded) for levels in ((-3, 0), (0, -3), (0, -12))]
        for name in ("lsd_low_db", "lsd_high_db")
    }
    assert values["lsd_low_db"] == [pytest.approx(3, abs=0.1), pytest.approx(0, abs=0.1), pytest.approx(0, abs=0.1)]
    assert values["lsd_high_db"] == [pytest.approx(0, abs=0.1), pytest.approx(3, abs=0.1), pytest.approx(12, abs=0.1)]
    assert falls("lsd_high_db", values["lsd_high_db"])
    assert falls("lsd_low_db", [values["lsd_low_db"][1], values["lsd_low_db"][0]])
    with pytest.raises(NotMeasurable, match="nothing cut the band"):
        measured("lsd_low_db", sound, sound, rate, sound)
    with pytest.raises(NotMeasurable, match="is not known"):
        measured("lsd_high_db", sound, sound, rate)


def test_mr_stft_of_a_level_change_is_known():
    sound = noise("sound", 20_000, 0.1)
    # Magnitudes halved: half of the norm is gone, and each logarithm is ln 2 lower.
    assert measured("mr_stft", sound, sound / 2) == pytest.approx(0.5 + np.log(2), abs=1e-3)
    assert falls("mr_stft", [measured("mr_stft", sound, sound * gain) for gain in (1, 0.9, 0.5)])


@pytest.mark.slow
def test_mcd_is_the_height_of_a_ripple_and_knows_no_level():
    orders, bands = 3, np.arange(NUM_BANDS)
    ripple = 2.0 * np.cos(np.pi * orders * (bands + 0.5) / NUM_BANDS)  # of the natural logarithm of power
    cepstra = dct(ripple[None], axis=1)[:, 1:14] / (2 * NUM_BANDS)
    rms_db = 10 / np.log(10) * np.sqrt(np.mean(ripple**2))
    assert distortion_db(cepstra, np.zeros_like(cepstra)) == pytest.approx(rms_db)
    sound = noise("sound", 16_000, 0.1)
    assert measured("mcd_db", sound, sound / 4, 16_000) == pytest.approx(0, abs=1e-3)
    softer = [np.convolve(sound, np.ones(width) / width, "same") for width in (1, 2, 4)]
    assert falls("mcd_db", [measured("mcd_db", sound, one, 16_000) for one in softer])
