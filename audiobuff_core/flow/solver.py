"""Solvers of dx/dt = velocity(x, t) from t = 0 to t = 1; they know nothing of audio."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from audiobuff_core.flow.guidance import VelocityField

SolverMethod = Literal["euler", "midpoint", "heun"]


def time_grid(num_steps: int, *, sway: float = 0.0) -> Float[Tensor, "times"]:
    """Times from 0 to 1 in `num_steps` steps: `num_steps + 1` of them, float64.

    Args:
        num_steps: at least 1.
        sway: 0 is uniform; negative values, down to -1, put more steps near 0 (F5-TTS, Chen et al. 2024:
            `u + s (cos(pi u / 2) - 1 + u)`).

    Raises:
        ValueError: `num_steps` < 1, or a sway that would make the grid turn back.
    """
    if num_steps < 1:
        raise ValueError(f"{num_steps} solver steps: expected at least 1")
    if not -1.0 <= sway <= 2 / (math.pi - 2):
        raise ValueError(f"Sway {sway}: expected -1 to {2 / (math.pi - 2):.3f}")
    u = torch.linspace(0, 1, num_steps + 1, dtype=torch.float64)
    return u + sway * (torch.cos(math.pi / 2 * u) - 1 + u)


def integrate(
    velocity: VelocityField,
    x_0: Float[Tensor, "batch frames dim"],
    grid: Float[Tensor, "times"],
    *,
    method: SolverMethod = "euler",
    on_step: Callable[[int], None] | None = None,
) -> Float[Tensor, "batch frames dim"]:
    """`x` at the end of `grid`, starting from `x_0`.

    Euler has order 1 and costs one evaluation a step; midpoint and Heun have order 2 and cost two (Hairer,
    Norsett & Wanner, "Solving Ordinary Differential Equations I", II.1).

    Args:
        velocity: the field.
        x_0: the start.
        grid: increasing times, such as `time_grid` gives.
        method: `euler`, `midpoint` or `heun`.
        on_step: called with the number of finished steps after each.
    """
    x = x_0
    for step in range(len(grid) - 1):
        now, then = float(grid[step]), float(grid[step + 1])
        x = _advance(velocity, x, now, then - now, method)
        if on_step is not None:
            on_step(step + 1)
    return x


def _advance(velocity: VelocityField, x: Tensor, now: float, width: float, method: SolverMethod) -> Tensor:
    first = velocity(x, _times(x, now))
    if method == "euler":
        return x + width * first
    if method == "midpoint":
        return x + width * velocity(x + width / 2 * first, _times(x, now + width / 2))
    return x + width / 2 * (first + velocity(x + width * first, _times(x, now + width)))


def _times(x: Tensor, t: float) -> Tensor:
    return torch.full((x.shape[0],), t, dtype=x.dtype, device=x.device)
