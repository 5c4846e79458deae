"""Noise of any colour at an exact signal-to-noise ratio."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.faults.added import at_ratio, shaped_noise
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

SLOPES_DB_PER_OCTAVE = {"white": 0.0, "pink": -3.0103, "brown": -6.0206, "blue": 3.0103}
LOWEST_HZ = 20.0


def apply(samples: Samples, sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] plus noise of `color` at `snr_db`, measured over the whole track.

    Channels get independent noise. Silence stays silent, as it has no signal for a ratio.
    """
    if not samples.any():
        return samples
    noise: Samples
    if parameters["color"] == "white":
        noise = generator.standard_normal(samples.shape)
    else:
        shape = (samples.shape[0], samples.shape[1])
        noise = shaped_noise(shape, sample_rate, lambda hertz: _amplitude(hertz, parameters), generator)
    return samples + at_ratio(samples, noise, float(parameters["snr_db"]))


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
