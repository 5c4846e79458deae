"""Scale-invariant signal-to-distortion ratio."""

import math

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.errors import InvalidAudio
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric

HELD_DB = 30.0


def si_sdr_db(reference: NDArray[np.float64], estimate: NDArray[np.float64]) -> float:
    """SI-SDR in dB, higher is better, of Le Roux et al., "SDR - half-baked or well done?" (ICASSP 2019).

    Both signals lose their mean, then `10 log10(|a r|^2 / |e - a r|^2)` with `a` the least-squares scale of the
    reference. Level, polarity and DC therefore do not count; those faults need another metric.

    Args:
        reference: shape [samples], full scale +-1.
        estimate: shape [samples], the same length.

    Returns:
        The ratio, `inf` for a scaled copy and `-inf` for an estimate without any of the reference in it.

    Raises:
        InvalidAudio: shapes differ, or the reference is constant, where the ratio has no meaning.
    """
    if reference.shape != estimate.shape or reference.ndim != 1:
        raise InvalidAudio(
            f"SI-SDR of shapes {reference.shape} and {estimate.shape}: expected two equal ones of [samples]"
        )
    target = reference.astype(np.float64) - reference.mean(dtype=np.float64)
    other = estimate.astype(np.float64) - estimate.mean(dtype=np.float64)
    energy = float(target @ target)
    if energy <= 0.0:
        raise InvalidAudio("SI-SDR against a silent or constant reference: it is undefined; leave the clip out")
    scale = float(other @ target) / energy
    distortion = other - scale * target
    noise = float(distortion @ distortion)
    signal = scale * scale * energy
    if signal <= 0.0:
        return -math.inf
    return math.inf if noise <= 0.0 else 10.0 * math.log10(signal / noise)


def held(value_db: float, limit_db: float = HELD_DB) -> float:
    """`value_db` held to [-limit_db, limit_db], so that no single clip, even an infinite one, rules a mean."""
    return min(max(value_db, -limit_db), limit_db)


def _compare(comparison: Comparison) -> float:
    return comparison.over_channels(lambda clean, estimate: held(si_sdr_db(clean, estimate)))


SI_SDR = Metric(
    name="si_sdr_db",
    title="SI-SDR",
    unit="dB",
    better="higher",
    material=0.1,
    about="Scale-invariant signal-to-distortion ratio (Le Roux et al., 2019), held to ±30 dB an item; level, polarity "
    "and DC do not count in it.",
    compare=_compare,
)
