"""Soft clipping and overdrive of analogue electronics: curves that bend before they cut."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

# Curves through 0 with slope 1 there, which end at +-1 or nearer.
CURVES: dict[str, Callable[[Samples], Samples]] = {
    "tanh": np.tanh,
    "arctan": lambda x: np.arctan(np.pi / 2.0 * x) * 2.0 / np.pi,
    "cubic": lambda x: np.where(np.abs(x) < 1.5, x - 4.0 / 27.0 * x**3, np.sign(x)),
    "exponential": lambda x: np.sign(x) * -np.expm1(-np.abs(x)),
    "hard": lambda x: np.clip(x, -1.0, 1.0),
}


def apply(samples: Samples, _sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples], from peak 1, times `drive` through `curve`, and back to their level.

    `bias` moves the working point before the curve, which bends the halves differently (even harmonics, as a valve's);
    what quiet samples get from it, an offset and another slope, is taken off again, so they stay as they were.
    """
    peak = float(np.abs(samples).max())
    if peak == 0.0:
        return samples
    curve = CURVES[str(parameters["curve"])]
    drive, bias = float(parameters["drive"]) / peak, float(parameters["bias"])
    at_rest = np.array([bias - 1e-6, bias, bias + 1e-6])
    below, middle, above = curve(at_rest)
    slope = (above - below) / 2e-6
    return np.asarray((curve(samples.astype(np.float64) * drive + bias) - middle) / (slope * drive))
