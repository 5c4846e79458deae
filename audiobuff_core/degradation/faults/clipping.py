"""Clipping of a recorder: hard at quantiles or at a share of the peak, or soft."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

# Quantiles are taken where something sounds: those of a track that is mostly pause would flatten all of it.
SOUNDING_SHARE = 0.01


def apply(samples: Samples, _sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] clipped as `mode` says, all channels at the same level.

    `quantile`: hard at the `low_quantile` and `high_quantile` of the samples above 1 % of the peak; `peak`: hard at the
    peak over `peak_divisor`; `soft`: peak * tanh(`drive` * x / peak) / `drive`, which keeps quiet samples.
    """
    peak = max(float(samples.max()), -float(samples.min()))
    if peak == 0.0:
        return samples
    mode = str(parameters["mode"])
    if mode == "soft":
        drive = float(parameters["drive"])
        return np.asarray(peak / drive * np.tanh(drive * samples / peak))
    if mode == "peak":
        highest = peak / float(parameters["peak_divisor"])
        return np.clip(samples, -highest, highest)
    sounding = samples[np.abs(samples) >= SOUNDING_SHARE * peak]
    quantiles = [float(parameters["low_quantile"]), float(parameters["high_quantile"])]
    low, high = np.quantile(sounding, quantiles)
    return np.clip(samples, low, high)
