"""Few bits: the steps of an early sampler or a level set far too low."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.float64]


def apply(samples: Samples, _sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] rounded to 2 ** `bits` even steps from minus to plus the track's peak.

    `dither` adds triangular noise of two steps before rounding. Relative to the peak, so that a quiet track is hurt as
    much as a loud one. Silence stays silent.
    """
    peak = float(np.abs(samples).max())
    if peak == 0.0:
        return samples
    step = 2.0 * peak / 2 ** int(parameters["bits"])
    levels = samples / step
    if parameters["dither"] == "triangular":
        levels = levels + generator.random(samples.shape) - generator.random(samples.shape)
    highest = 2 ** (int(parameters["bits"]) - 1)
    return np.asarray(np.clip(np.round(levels), -highest, highest - 1) * step)
