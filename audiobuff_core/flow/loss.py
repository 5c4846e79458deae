"""Losses in which padding never counts, one number an item."""

import math
from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor

ScaleLaw = Literal["gaussian", "laplace"]


def squared_error(
    estimate: Float[Tensor, "batch frames dim"],
    target: Float[Tensor, "batch frames dim"],
    valid: Bool[Tensor, "batch frames"],
) -> Float[Tensor, "batch"]:
    """The squared error of each item, averaged over channels and summed over valid frames.

    Their sum, divided by the number of valid frames of all ranks and micro-batches, is the masked mean squared error
    whatever the split of the batch.
    """
    per_frame = (estimate - target).square().mean(dim=-1)
    return (per_frame * valid).sum(dim=1)


def error_ratio_log(
    estimate: Float[Tensor, "batch frames dim"],
    target: Float[Tensor, "batch frames dim"],
    valid: Bool[Tensor, "batch frames"],
    *,
    floor: float = 1e-4,
) -> Float[Tensor, "batch"]:
    """log(error energy / target energy + floor) of each item: every item's decibels count alike.

    A squared error alone lets loud, badly damaged items rule and harms nearly clean ones; the logarithm of each
    item's own ratio does not.
    """
    mask = valid[..., None]
    error = ((estimate - target).square() * mask).sum(dim=(1, 2))
    energy = (target.square() * mask).sum(dim=(1, 2))
    return (error / (energy + 1e-6) + floor).log()


def scale_surprise(
    error: Float[Tensor, "batch frames dim"],
    log_scale: Float[Tensor, "batch frames dim"],
    valid: Bool[Tensor, "batch frames"],
    *,
    law: ScaleLaw = "gaussian",
) -> Float[Tensor, "batch"]:
    """The negative log-likelihood of `error` under zero-mean laws of standard deviation `exp(log_scale)`.

    Averaged over channels and summed over valid frames, as `squared_error`; without the law's constant. Lowest where
    the scale is the root of the mean squared error (`gaussian`), or sqrt(2) times the mean absolute error (`laplace`,
    which outliers move less).
    """
    if law == "gaussian":
        surprise = log_scale + 0.5 * error.square() * (-2 * log_scale).exp()
    else:
        surprise = log_scale + math.sqrt(2) * error.abs() * (-log_scale).exp()
    return (surprise.mean(dim=-1) * valid).sum(dim=1)
