"""The side streams, made ready once a track: projected, clocked, and with a learned null where one is missing."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from audiobuff_core.models.rotary import rotary_angles


@dataclass(frozen=True, slots=True, eq=False)
class SideStream:
    """One side stream as it comes from its encoder, standardised.

    Attributes:
        values: [batch, frames, dim].
        times: seconds, on the clock of the target latents, [batch, frames].
        valid: [batch, frames], False where a frame is padding.
        dropped: [batch], True where the stream is to be replaced by its null.
    """

    values: Float[Tensor, "batch frames dim"]
    times: Float[Tensor, "batch frames"]
    valid: Bool[Tensor, "batch frames"]
    dropped: Bool[Tensor, "batch"]


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """A side stream ready for cross-attention: tokens [batch, frames, d_model], angles and mask."""

    values: Float[Tensor, "batch frames d_model"]
    angles: Float[Tensor, "batch frames half"]
    valid: Bool[Tensor, "batch frames"]


class StreamProjection(nn.Module):
    """One stream to tokens; a dropped stream becomes its learned null token on every frame."""

    def __init__(self, feature_dim: int, d_model: int, head_dim: int) -> None:
        """Make projection, norm and null token."""
        super().__init__()
        self.head_dim = head_dim
        self.linear = nn.Linear(feature_dim, d_model)
        self.norm = nn.LayerNorm(d_model)
        self.null = nn.Parameter(torch.randn(d_model) * 0.02)

    def forward(self, stream: SideStream) -> Tokens:
        """Tokens on the stream's own clock; at least one frame an item stays valid."""
        dropped = stream.dropped[:, None] | ~stream.valid.any(dim=1, keepdim=True)
        projected = self.norm(self.linear(stream.values))
        values = torch.where(dropped[..., None], self.null.to(projected.dtype), projected)
        return Tokens(values, rotary_angles(stream.times, self.head_dim), stream.valid | dropped)


class ConditionAligner(nn.Module):
    """Structure and semantics to tokens of the backbone's width, each on its own clock."""

    def __init__(self, structure_dim: int, semantic_dim: int, d_model: int, head_dim: int) -> None:
        """Make one projection a stream."""
        super().__init__()
        self.structure = StreamProjection(structure_dim, d_model, head_dim)
        self.semantic = StreamProjection(semantic_dim, d_model, head_dim)

    def forward(self, structure: SideStream, semantic: SideStream) -> tuple[Tokens, Tokens]:
        """Both streams as tokens."""
        return self.structure(structure), self.semantic(semantic)
