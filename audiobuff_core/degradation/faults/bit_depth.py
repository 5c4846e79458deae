"""Few bits: the steps of an early sampler or a level set far too low."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]


def apply(samples: Samples, _sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] rounded to whole steps of `bits`, zero and the track's peak among them.

    `dither` adds triangular noise of two steps before rounding. Relative to the peak, so that a quiet track is hurt as
    much as a loud one. Silence stays silent.
    """
    peak = max(float(samples.max()), -float(samples.min()))
    if peak == 0.0:
        return samples
    highest = max(1, 2 ** (int(parameters["bits"]) - 1) - 1)
    step = peak / highest
    levels = np.asarray(samples / step)
    if parameters["dither"] == "triangular":
        levels = levels + generator.random(samples.shape) - generator.random(samples.shape)
        np.clip(levels, -highest - 1, highest, out=levels)
    np.round(levels, out=levels)
    levels *= step
    return levels
