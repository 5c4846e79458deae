"""Classifier-free guidance as one velocity field around others (Ho & Salimans 2022)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

VelocityField = Callable[[Tensor, Tensor], Tensor]
"""`(x_t [batch, frames, dim], t [batch]) -> velocity [batch, frames, dim]`."""


class Hidden(NamedTuple):
    """Which side streams a branch of guidance does not see: their learned nulls take their place."""

    structure: bool = False
    semantic: bool = False


ALL_SHOWN = Hidden()
ALL_HIDDEN = Hidden(structure=True, semantic=True)


@runtime_checkable
class BranchedField(Protocol):
    """A velocity field that can hide its conditions."""

    def __call__(self, x_t: Tensor, t: Tensor, branches: tuple[Hidden, ...] = (ALL_SHOWN,)) -> Tensor:
        """The velocities of all branches in one batched pass.

        `x_t` [branches * batch, frames, dim] and `t` [branches * batch] hold the whole batch of the first branch, then
        that of the second, and so on; so does the result.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """How closely the flow follows its conditions; every scale is neutral at 1.

    With `v(shown)` the velocity given the streams shown:
    `v = v(none) + scale (v(both) - v(none)) + sum over streams (stream scale - 1) (v(both) - v(both but that one))`.
    The joint part is Ho & Salimans' own; a stream's part needs that stream dropped alone in training.

    Attributes:
        scale: of both streams together; 0 ignores them.
        structure: of the structure stream beyond that.
        semantic: of the semantic stream beyond that.
        interval: the times [from, to) in which guidance acts (Kynkaanniemi et al. 2024), 1 included where `to` is 1.
    """

    scale: float = 1.0
    structure: float = 1.0
    semantic: float = 1.0
    interval: tuple[float, float] = (0.0, 1.0)

    def weights(self) -> dict[Hidden, float]:
        """Branches and their shares in the velocity, which sum to 1; those that count for nothing are left out."""
        shares = {
            ALL_HIDDEN: 1 - self.scale,
            Hidden(structure=True): 1 - self.structure,
            Hidden(semantic=True): 1 - self.semantic,
        }
        all_shares = {ALL_SHOWN: 1 - sum(shares.values()), **shares}
        return {hidden: share for hidden, share in all_shares.items() if share != 0}

    def acts_at(self, t: float) -> bool:
        """Whether guidance is anything but neutral at time `t`."""
        begin, end = self.interval
        return set(self.weights()) != {ALL_SHOWN} and begin <= t and (t < end or end >= 1)


@dataclass(frozen=True, slots=True)
class GuidedField:
    """A velocity field under guidance; outside the interval, or where guidance is neutral, it costs one branch.

    Attributes:
        field: the branches' velocities.
        guidance: how they are weighed.
    """

    field: BranchedField
    guidance: Guidance

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The guided velocity at `x_t` [batch, frames, dim] and `t` [batch] (all times equal)."""
        if not self.guidance.acts_at(float(t[0])):
            return self.field(x_t, t)
        weights = self.guidance.weights()
        rows, times = torch.cat([x_t] * len(weights)), torch.cat([t] * len(weights))
        velocities = self.field(rows, times, tuple(weights)).chunk(len(weights))
        return torch.stack([share * each for share, each in zip(weights.values(), velocities, strict=True)]).sum(dim=0)
