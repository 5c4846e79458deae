"""Softened transients: attacks lose their edge, as after a careless limiter or noise reduction."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.faults.envelope import followed, gain_curve, peak_levels_db
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

FAST_MS, SLOW_MS, FALL_MS = 0.5, 30.0, 60.0
# An attack that stands this far over what was before it is softened in full.
FULL_DB = 12.0
LOWEST_DB = -60.0


def apply(samples: Samples, sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] with attacks up to `depth_db` lower, all channels by one gain.

    An attack is where a fast follower of the level is over a slow one: 12 dB or more cost all of `depth_db`, less
    proportionally less. The gain comes back within `recovery_ms`. What sounds evenly is left as it is.
    """
    levels_db = np.maximum(peak_levels_db(samples, sample_rate), LOWEST_DB)
    fast = followed(levels_db, FAST_MS, FALL_MS, start=LOWEST_DB)
    slow = followed(levels_db, SLOW_MS, FALL_MS, start=LOWEST_DB)
    share = np.clip((fast - slow) / FULL_DB, 0.0, 1.0)
    taken_db = followed(share * float(parameters["depth_db"]), 0.0, float(parameters["recovery_ms"]), start=0.0)
    # One step ahead: the edge itself is part of the attack.
    ahead = np.append(taken_db[1:], taken_db[-1])
    return samples * gain_curve(-np.maximum(taken_db, ahead), samples.shape[1], sample_rate)
