"""Rotary positions measured in seconds, so that streams of any frame rate share one clock (Su et al. 2021)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

SHORTEST_SECONDS = 0.02
LONGEST_SECONDS = 60.0


def clock_dtype(device: torch.device) -> torch.dtype:
    """The floats that count seconds on `device`: float64, but float32 on Apple's devices, which have nothing longer."""
    return torch.float32 if device.type == "mps" else torch.float64


def on_device(times: Float[Tensor, "*batch frames"], device: torch.device) -> Float[Tensor, "*batch frames"]:
    """`times` on `device`, as exact as it can count."""
    return times.to(clock_dtype(device)).to(device)


def rotary_angles(times: Float[Tensor, "*batch frames"], head_dim: int) -> Float[Tensor, "*batch frames half"]:
    """The angles of each frame: periods from 20 ms to 60 s, in equal ratios.

    Args:
        times: seconds.
        head_dim: width of an attention head, even; half of it is the last axis of the result.
    """
    half = head_dim // 2
    dtype = clock_dtype(times.device)
    exponents = torch.arange(half, dtype=dtype, device=times.device) / max(1, half - 1)
    periods = SHORTEST_SECONDS * (LONGEST_SECONDS / SHORTEST_SECONDS) ** exponents
    return (times.to(dtype)[..., None] * (2 * math.pi / periods)).float()


def turn(
    heads: Float[Tensor, "batch heads frames head_dim"],
    cos: Float[Tensor, "batch 1 frames half"],
    sin: Float[Tensor, "batch 1 frames half"],
) -> Float[Tensor, "batch heads frames head_dim"]:
    """`heads` with each pair of coordinates (i, i + half) turned by the angle of this cosine and sine."""
    first, second = heads.chunk(2, dim=-1)
    turned = [torch.addcmul(first * cos, second, sin, value=-1), torch.addcmul(second * cos, first, sin)]
    return torch.cat(turned, dim=-1)
