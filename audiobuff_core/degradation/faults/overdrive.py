"""The original's overdrive: drive, then a hard clip."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]


def apply(samples: Samples, _sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] brought to peak 1, times `drive`, clipped at +-`limit`, and brought back.

    From peak 1 every drive above 1 really clips; dividing by the drive afterwards keeps what was not clipped at its
    level, so that the fault is distortion and not loudness.
    """
    peak = float(np.abs(samples).max())
    if peak == 0.0:
        return samples
    scale = float(parameters["drive"]) / peak
    limit = float(parameters["limit"])
    driven = samples.astype(np.float64) * scale  # of a very quiet track beyond what 32 bits hold
    return np.clip(driven, -limit, limit) / scale
