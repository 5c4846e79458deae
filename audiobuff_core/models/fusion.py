"""Cross-attention fusion of the side streams into the target stream."""

from jaxtyping import Float
from torch import Tensor, nn

from audiobuff_core.models.attention import Attention
from audiobuff_core.models.conditioning import Tokens


class Fusion(nn.Module):
    """What the target gathers from structure plus what it gathers from semantics."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        """Make one cross-attention a stream."""
        super().__init__()
        self.structure = Attention(d_model, n_heads)
        self.semantic = Attention(d_model, n_heads)

    def forward(
        self,
        target: Float[Tensor, "batch frames d_model"],
        angles: Float[Tensor, "batch frames half"],
        structure: Tokens,
        semantic: Tokens,
    ) -> Float[Tensor, "batch frames d_model"]:
        """[batch, frames, d_model], to be gated and added by the block."""
        from_structure: Tensor = self.structure(target, angles, structure.values, structure.angles, structure.valid)
        from_semantic: Tensor = self.semantic(target, angles, semantic.values, semantic.angles, semantic.valid)
        return from_structure + from_semantic
