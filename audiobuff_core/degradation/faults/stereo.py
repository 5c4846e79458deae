"""Faults between channels: collapsed, narrow, leaning to a side, or one of them turned over."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]


def apply(samples: Samples, _sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] with the fault that `mode` names; one channel comes back as it is.

    `width`: every channel keeps `width` (0 to 1) of its difference from the mean of all; `mono`: none of it;
    `imbalance`: the even channels are `difference_db` / 2 louder, the odd ones as much softer; `polarity`: channel
    `channel` (counted round) times -1.
    """
    if samples.shape[0] == 1:
        return samples
    mode = str(parameters["mode"])
    if mode in ("mono", "width"):
        width = float(parameters["width"]) if mode == "width" else 0.0
        middle = samples.mean(axis=0, keepdims=True)
        return np.asarray(middle + width * (samples - middle))
    if mode == "imbalance":
        gain = 10.0 ** (float(parameters["difference_db"]) / 40.0)
        damaged = samples.copy()
        damaged[0::2] *= gain
        damaged[1::2] /= gain
        return damaged
    signs = np.ones((samples.shape[0], 1), dtype=samples.dtype)
    signs[int(parameters["channel"]) % samples.shape[0]] = -1.0
    return samples * signs
