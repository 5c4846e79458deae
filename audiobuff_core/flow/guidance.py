"""Classifier-free guidance as one velocity field around others (Ho & Salimans 2022)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

VelocityField = Callable[[Tensor, Tensor], Tensor]
"""`(x_t [batch, frames, dim], t [batch]) -> velocity [batch, frames, dim]`."""


def guided(null: Float[Tensor, "..."], conditional: Float[Tensor, "..."], scale: float) -> Float[Tensor, "..."]:
    """`null + scale (conditional - null)`: 1 is neutral, 0 ignores the conditions."""
    return null + scale * (conditional - null)


@dataclass(frozen=True, slots=True)
class GuidedField:
    """A velocity field that follows its conditions `scale` times.

    Both branches go through `both` in one batched pass: it takes `x_t` and `t` doubled along the batch (first
    half without conditions, second half with) and returns their velocities in that order.

    Attributes:
        both: the batched field.
        conditional: the field with conditions alone, used outside `interval`, where guidance is neutral.
        scale: guidance scale, neutral at 1.
        interval: the times [from, to) in which guidance acts (Kynkaanniemi et al. 2024).
    """

    both: VelocityField
    conditional: VelocityField
    scale: float
    interval: tuple[float, float] = (0.0, 1.0)

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The guided velocity at `x_t` [batch, frames, dim] and `t` [batch] (all times equal)."""
        now = float(t[0])
        if self.scale == 1.0 or not self.interval[0] <= now < self.interval[1]:
            return self.conditional(x_t, t)
        null, conditional = self.both(torch.cat([x_t, x_t]), torch.cat([t, t])).chunk(2)
        return guided(null, conditional, self.scale)
