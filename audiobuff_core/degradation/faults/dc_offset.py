"""A constant offset, as a faulty converter or preamplifier leaves."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]


def apply(samples: Samples, _sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] plus `offset` of full scale (a signed number) in every channel."""
    return samples + float(parameters["offset"])
