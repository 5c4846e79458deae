"""Noise of any colour at an exact signal-to-noise ratio."""

import math

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.float64]

SLOPES_DB_PER_OCTAVE = {"white": 0.0, "pink": -3.0103, "brown": -6.0206, "blue": 3.0103}
LOWEST_HZ = 20.0
FEWEST_POINTS = 1024


def apply(samples: Samples, sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] plus noise of `color` at `snr_db`, measured over the whole track.

    Channels get independent noise. Silence stays silent, as it has no signal for a ratio.
    """
    signal_power = float(np.mean(np.square(samples)))
    if signal_power == 0.0:
        return samples
    color = str(parameters["color"])
    if color == "white":
        noise = generator.standard_normal(samples.shape)
    else:
        noise = _colored(samples.shape, sample_rate, parameters, generator)
    noise_power = float(np.mean(np.square(noise)))
    wanted_power = signal_power / 10.0 ** (float(parameters["snr_db"]) / 10.0)
    return samples + noise * math.sqrt(wanted_power / noise_power)


def _colored(
    shape: tuple[int, ...], sample_rate: int, parameters: Parameters, generator: np.random.Generator
) -> Samples:
    """Gaussian noise shaped in the frequency domain, of any positive power."""
    channels, num_samples = shape
    num_points = max(FEWEST_POINTS, 1 << (num_samples - 1).bit_length())
    spectrum = np.fft.rfft(generator.standard_normal((channels, num_points)))
    frequencies = np.asarray(np.fft.rfftfreq(num_points, 1.0 / sample_rate), dtype=np.float64)
    shaped = np.fft.irfft(spectrum * _amplitude(frequencies, parameters), num_points)
    return shaped[:, :num_samples]


def _amplitude(frequencies: Samples, parameters: Parameters) -> Samples:
    """The wanted amplitude at each frequency; slopes end at 20 Hz, where hearing does."""
    color = str(parameters["color"])
    if color == "band":
        # Where the track's rate has no such band, its upper third serves.
        high_hz = min(float(parameters["high_hz"]), float(frequencies[-1]))
        low_hz = min(float(parameters["low_hz"]), high_hz / 1.5)
        inside = (frequencies >= low_hz) & (frequencies <= high_hz)
        inside[np.argmin(np.abs(frequencies - (low_hz + high_hz) / 2.0))] = (
            True  # at least one, however short the track
        )
        return inside.astype(np.float64)
    slope = SLOPES_DB_PER_OCTAVE.get(color)
    if slope is None:
        slope = float(parameters["slope_db_per_octave"])
    octaves = np.log2(np.maximum(frequencies, LOWEST_HZ) / LOWEST_HZ)
    return np.asarray(10.0 ** (slope * octaves / 20.0))
