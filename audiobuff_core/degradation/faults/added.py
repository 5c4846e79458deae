"""What faults that add a sound share: noise of a given spectrum, and an exact ratio to the music."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len

Samples = NDArray[np.floating]

FEWEST_POINTS = 1024


def shaped_noise(
    shape: tuple[int, int], sample_rate: int, amplitude: Callable[[Samples], Samples], generator: np.random.Generator
) -> Samples:
    """Gaussian noise [channels, samples] whose spectrum is `amplitude` of the frequencies in Hz; of any power."""
    channels, num_samples = shape
    num_points = next_fast_len(max(FEWEST_POINTS, num_samples), real=True)
    frequencies = np.fft.rfftfreq(num_points, 1.0 / sample_rate)
    # The spectrum of Gaussian noise is Gaussian noise: it can be drawn as it is.
    drawn = generator.standard_normal((channels, len(frequencies), 2))
    spectrum = drawn.view(np.complex128)[..., 0] * amplitude(frequencies)
    return np.asarray(irfft(spectrum, num_points)[:, :num_samples])


def at_ratio(samples: Samples, sound: Samples, snr_db: float) -> Samples:
    """`sound` scaled so that the power of `samples` is `snr_db` above its own, both over the whole track.

    Silence has no ratio: beside it, and for a silent sound, the result is silent.
    """
    signal_power = float(np.mean(np.square(samples)))
    sound_power = float(np.mean(np.square(sound)))
    if signal_power == 0.0 or sound_power == 0.0:
        return np.zeros_like(samples)
    return sound * math.sqrt(signal_power / 10.0 ** (snr_db / 10.0) / sound_power)


def slow_curve(num_samples: int, sample_rate: int, rate_hz: float, generator: np.random.Generator) -> Samples:
    """A smooth random curve [samples] between 0 and 1 with about `rate_hz` rises a second."""
    seconds = np.arange(num_samples) / sample_rate
    num_knots = max(2, int(2.0 * rate_hz * num_samples / sample_rate) + 2)
    knots = generator.random(num_knots)
    places = seconds * 2.0 * rate_hz
    left = np.minimum(places.astype(np.int64), num_knots - 2)
    way = 0.5 - 0.5 * np.cos(np.pi * np.clip(places - left, 0.0, 1.0))
    return np.asarray(knots[left] * (1.0 - way) + knots[left + 1] * way)
