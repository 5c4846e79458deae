"""A recording at the wrong level."""

import math

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]


def apply(samples: Samples, _sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] times `gain` (linear) and `jitter_db`."""
    return samples * linear_gain(parameters)


def linear_gain(parameters: Parameters) -> float:
    """What every sample is multiplied by."""
    return float(parameters["gain"]) * math.pow(10.0, float(parameters["jitter_db"]) / 20.0)
