"""Fused attention with normalised queries and keys and rotary positions in seconds."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from audiobuff_core.models.block_attention import attend_in_blocks
from audiobuff_core.models.derivatives import normalise_and_rotate


class Attention(nn.Module):
    """Multi-head attention of a target stream to itself or to another stream.

    Queries and keys are RMS-normalised over each head (Dehghani et al. 2023, "Scaling Vision Transformers to 22
    Billion Parameters"), which keeps low-precision training stable.
    """

    def __init__(self, d_model: int, n_heads: int) -> None:
        """Make the projections; `d_model` is a multiple of twice `n_heads`."""
        super().__init__()
        if d_model % (2 * n_heads):
            raise ValueError(f"d_model {d_model} is not a multiple of twice n_heads {n_heads}: change one of them")
        self.n_heads = n_heads
        self.query = nn.Linear(d_model, d_model, bias=False)
        self.key_value = nn.Linear(d_model, 2 * d_model, bias=False)
        self.query_scale = nn.Parameter(torch.ones(d_model // n_heads))
        self.key_scale = nn.Parameter(torch.ones(d_model // n_heads))
        self.out = nn.Linear(d_model, d_model)

    def forward(
        self,
        target: Float[Tensor, "batch frames d_model"],
        target_angles: Float[Tensor, "batch frames half"],
        context: Float[Tensor, "batch context d_model"],
        context_angles: Float[Tensor, "batch context half"],
        context_valid: Bool[Tensor, "batch context"],
    ) -> Float[Tensor, "batch frames d_model"]:
        """What each target frame gathers from the valid frames of `context`."""
        batch, frames, d_model = target.shape
        query = self._heads(self.query(target))
        key, value = (self._heads(half) for half in self.key_value(context).chunk(2, dim=-1))
        query = normalise_and_rotate(query, self.query_scale, target_angles)
        key = normalise_and_rotate(key, self.key_scale, context_angles)
        gathered = _attend(query, key, value, context_valid).to(value.dtype)
        return self.out(gathered.transpose(1, 2).reshape(batch, frames, d_model))  # type: ignore[no-any-return]

    def _heads(self, stream: Tensor) -> Tensor:
        batch, frames, d_model = stream.shape
        return stream.view(batch, frames, self.n_heads, d_model // self.n_heads).transpose(1, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor, context_valid: Tensor) -> Tensor:
    """Attention in the projections' precision; its matrix of weights is never in memory as a whole."""
    if value.device.type == "cpu" and value.dtype == torch.bfloat16 and not torch.compiler.is_compiling():
        with torch.autocast("cpu", enabled=False):
            return attend_in_blocks(query, key, value, context_valid)
    # One row for all queries: expanded to [batch, 1, frames, context] the kernels would keep it in full as floats.
    mask = context_valid[:, None, None, :]
    if value.device.type != "cpu":
        return functional.scaled_dot_product_attention(query, key, value, mask)
    # The CPU's fused kernel takes two to three times as long forward and backward in low precision as in float32.
    with torch.autocast("cpu", enabled=False):
        return functional.scaled_dot_product_attention(query.float(), key.float(), value.float(), mask)
