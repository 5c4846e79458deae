"""Where the flow starts."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

SourceKind = Literal["noise", "damaged", "uncertainty"]


def make_source(
    kind: Literal["noise", "damaged"],
    damaged: Float[Tensor, "batch frames dim"],
    noise: Float[Tensor, "batch frames dim"],
    tau: Float[Tensor, "batch"],
) -> Float[Tensor, "batch frames dim"]:
    """`x_0` at t = 0 where it needs no estimate.

    `noise` is the original's source. `damaged` is `tau noise + (1 - tau) damaged`: what is intact need not be
    invented again, and `tau` says how much may be (given to the network too); `tau = 1` is `noise`.

    Args:
        kind: `noise` or `damaged`.
        damaged: the damaged recording's standardised latent.
        noise: standard normal, the same shape.
        tau: 0 to 1, one an item.
    """
    if kind == "noise":
        return noise
    share = tau[:, None, None]
    return share * noise + (1 - share) * damaged


def uncertain_source(
    mean: Float[Tensor, "batch frames dim"],
    scale: Float[Tensor, "batch frames dim"],
    noise: Float[Tensor, "batch frames dim"],
    tau: Float[Tensor, "batch"],
) -> Float[Tensor, "batch frames dim"]:
    """`mean + tau scale noise`: noise where the signal is lost, and hardly any where it is intact.

    Args:
        mean: the regression's estimate of the data.
        scale: its standard deviation in every coefficient, above 0.
        noise: standard normal, the same shape.
        tau: 0 to 1, one an item; 0 is the estimate alone.
    """
    return mean + tau[:, None, None] * scale * noise
