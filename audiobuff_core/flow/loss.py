"""Losses in which padding never counts."""

from jaxtyping import Bool, Float
from torch import Tensor


def squared_error_sum(
    estimate: Float[Tensor, "batch frames dim"],
    target: Float[Tensor, "batch frames dim"],
    valid: Bool[Tensor, "batch frames"],
) -> Float[Tensor, ""]:
    """The squared error, averaged over channels and summed over valid frames.

    Dividing by the number of valid frames of all ranks and micro-batches gives the masked mean squared error
    whatever the split of the batch.
    """
    per_frame = (estimate - target).square().mean(dim=-1)
    return (per_frame * valid).sum()


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
