"""Attention in low precision on the CPU, block by block, so that the whole matrix of weights never exists."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK_QUERIES = 256
BLOCK_WEIGHTS = 1 << 20
"""Weights in memory at a time, about 2 MiB: more heads together where there are few keys, fewer queries for many."""


def attend_in_blocks(
    query: Float[Tensor, "batch heads frames head_dim"],
    key: Float[Tensor, "batch heads context head_dim"],
    value: Float[Tensor, "batch heads context head_dim"],
    context_valid: Bool[Tensor, "batch context"],
) -> Float[Tensor, "batch heads frames head_dim"]:
    """What `scaled_dot_product_attention` gives, up to the rounding of weights to the precision of `query`.

    PyTorch's fused kernel for the CPU gains nothing from bfloat16, matrix products take less than half as long. The
    backward pass computes every block's weights again.
    """
    row = torch.zeros_like(context_valid, dtype=query.dtype)
    row = row.masked_fill(~context_valid, torch.finfo(query.dtype).min).repeat_interleave(query.shape[1], dim=0)
    gathered: Tensor = _Attend.apply(*(stream.flatten(0, 1) for stream in (query, key, value)), row[:, None])
    return gathered.view(query.shape)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, row: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(query, key, value, row)
        gathered = torch.empty_like(query)
        for heads, frames in _blocks(query, key):
            gathered[heads, frames] = torch.bmm(_weights(query, key, row, heads, frames), value[heads])
        return gathered

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # noqa: ANN401
        query, key, value, row = ctx.saved_tensors
        scale = query.shape[-1] ** -0.5
        of_query = torch.empty_like(query)
        one_block = query.shape[1] <= _rows(query, key)  # nothing is summed up over blocks of queries
        sums = key.dtype if one_block else torch.float32
        of_key, of_value = torch.zeros_like(key, dtype=sums), torch.zeros_like(value, dtype=sums)
        for heads, frames in _blocks(query, key):
            part = gradient[heads, frames]
            weights = _weights(query, key, row, heads, frames)
            of_value[heads] += torch.bmm(weights.transpose(1, 2), part)
            of_weights = torch.bmm(part, value[heads].transpose(1, 2))
            of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, query.dtype)
            of_query[heads, frames] = torch.bmm(of_scores, key[heads])
            of_key[heads] += torch.bmm(of_scores.transpose(1, 2), query[heads, frames])
        return of_query.mul_(scale), of_key.mul_(scale).to(key.dtype), of_value.to(value.dtype), None


def _blocks(query: Tensor, key: Tensor) -> Iterator[tuple[slice, slice]]:
    """Heads and queries of every block."""
    num_heads, num_frames, _ = query.shape
    rows = _rows(query, key)
    together = max(1, BLOCK_WEIGHTS // (rows * key.shape[1]))
    for head in range(0, num_heads, together):
        for frame in range(0, num_frames, rows):
            yield slice(head, head + together), slice(frame, frame + rows)


def _rows(query: Tensor, key: Tensor) -> int:
    """Queries of a block."""
    return max(1, min(BLOCK_QUERIES, query.shape[1], BLOCK_WEIGHTS // key.shape[1]))


def _weights(query: Tensor, key: Tensor, row: Tensor, heads: slice, frames: slice) -> Tensor:
    scale = query.shape[-1] ** -0.5
    keys = key[heads].transpose(1, 2)
    scores = torch.baddbmm(row[heads], query[heads, frames], keys, alpha=scale)
    return scores.softmax(dim=-1)
