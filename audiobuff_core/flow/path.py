"""The straight path between a source and data (conditional optimal transport without its sigma_min)."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class PathSample:
    """A point on the path and the velocity there.

    Attributes:
        x_t: [batch, frames, dim].
        velocity: dx_t/dt, [batch, frames, dim].
        t: [batch], 0 to 1.
    """

    x_t: Float[Tensor, "batch frames dim"]
    velocity: Float[Tensor, "batch frames dim"]
    t: Float[Tensor, "batch"]


def sample_path(
    x_0: Float[Tensor, "batch frames dim"], x_1: Float[Tensor, "batch frames dim"], t: Float[Tensor, "batch"]
) -> PathSample:
    """`x_t = (1 - t) x_0 + t x_1` and its velocity `x_1 - x_0` (Lipman et al. 2023, eq. 22 with sigma_min = 0)."""
    along = t[:, None, None]
    return PathSample(x_t=(1 - along) * x_0 + along * x_1, velocity=x_1 - x_0, t=t)


def data_estimate(
    x_t: Float[Tensor, "batch frames dim"], velocity: Float[Tensor, "batch frames dim"], t: Float[Tensor, "batch"]
) -> Float[Tensor, "batch frames dim"]:
    """The data that `velocity` points at from `x_t`: `x_t + (1 - t) velocity`."""
    return x_t + (1 - t)[:, None, None] * velocity
