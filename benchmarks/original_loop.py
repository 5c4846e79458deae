"""The original's way through a track, on our network: to be timed against ours in `benchmarks/inference.py`."""

import itertools
from typing import Final

import torch

from audiobuff_core.flow.guidance import ALL_HIDDEN, ALL_SHOWN
from audiobuff_core.flow.solver import time_grid
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.inference.windows import Conditions, WindowedField
from audiobuff_core.precision import Precision

CHUNK_TOKENS: Final = 256
HOP_TOKENS: Final = 128
CFG: Final = 1.5


def originals_loop(restorer: Restorer, conditions: Conditions, steps: int) -> torch.Tensor:
    """Each chunk from its own noise to its end, then an overlap-add."""
    damaged = conditions.damaged
    num_frames = damaged.shape[1]
    total, weight = torch.zeros_like(damaged), torch.zeros(num_frames, 1)
    grid = time_grid(steps)
    for first in range(0, num_frames, HOP_TOKENS):
        last = min(num_frames, first + CHUNK_TOKENS)
        part = Conditions(
            damaged[:, first:last], conditions.frame_rate, conditions.structure, conditions.semantic, conditions.tau
        )
        field = field_of(restorer, part, 0, "fp32")
        x = torch.randn(part.damaged.shape)
        for now, then in itertools.pairwise(grid):
            t = torch.full((len(x),), float(now))
            shown, null = field(x, t, (ALL_SHOWN,)), field(x, t, (ALL_HIDDEN,))
            x = x + float(then - now) * (null + CFG * (shown - null))
        total[:, first:last] += x
        weight[first:last] += 1
        if last == num_frames:
            break
    return total / weight


def field_of(restorer: Restorer, conditions: Conditions, overlap: int, precision: Precision) -> WindowedField:
    """Our network along a track in windows that share `overlap` frames."""
    return WindowedField(
        restorer.model, conditions, window_frames=CHUNK_TOKENS, overlap_frames=overlap, precision=precision,
        device=restorer.device,
    )  # fmt: skip
