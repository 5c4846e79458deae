"""Rotary positions measured in seconds, so that streams of any frame rate share one clock (Su et al. 2021)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

SHORTEST_SECONDS = 0.02
LONGEST_SECONDS = 60.0


def rotary_angles(times: Float[Tensor, "*batch frames"], head_dim: int) -> Float[Tensor, "*batch frames half"]:
    """The angles of each frame: periods from 20 ms to 60 s, in equal ratios.

    Args:
        times: seconds.
        head_dim: width of an attention head, even; half of it is the last axis of the result.
    """
    half = head_dim // 2
    exponents = torch.arange(half, dtype=torch.float64, device=times.device) / max(1, half - 1)
    periods = SHORTEST_SECONDS * (LONGEST_SECONDS / SHORTEST_SECONDS) ** exponents
    return (times.double()[..., None] * (2 * math.pi / periods)).float()


def rotate(
    heads: Float[Tensor, "batch heads frames head_dim"], angles: Float[Tensor, "batch frames half"]
) -> Float[Tensor, "batch heads frames head_dim"]:
    """`heads` with each pair of coordinates (i, i + half) turned by its angle."""
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    first, second = heads.float().chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(heads.dtype)
