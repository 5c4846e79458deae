"""One block of the diffusion transformer."""

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from audiobuff_core.models.attention import Attention
from audiobuff_core.models.conditioning import Tokens
from audiobuff_core.models.derivatives import convolve_each
from audiobuff_core.models.fusion import Fusion
from audiobuff_core.models.modulation import Modulation, OffsetModulation, modulate


class GatedMlp(nn.Module):
    """SwiGLU (Shazeer 2020) behind a depthwise convolution over time, which sees the neighbouring frames."""

    def __init__(self, d_model: int, hidden_dim: int, kernel_frames: int) -> None:
        """Make the layers; `kernel_frames` is odd."""
        super().__init__()
        self.local = nn.Conv1d(d_model, d_model, kernel_frames, padding=kernel_frames // 2, groups=d_model)
        self.up = nn.Linear(d_model, 2 * hidden_dim)
        self.down = nn.Linear(hidden_dim, d_model)

    def forward(
        self, frames: Float[Tensor, "batch frames d_model"], valid: Bool[Tensor, "batch frames"]
    ) -> Float[Tensor, "batch frames d_model"]:
        """[batch, frames, d_model]; padding frames do not leak into their neighbours."""
        masked = frames * valid[..., None]
        assert self.local.bias is not None
        frames = frames + convolve_each(masked, self.local.weight, self.local.bias)
        gate, value = self.up(frames).chunk(2, dim=-1)
        return self.down(functional.silu(gate) * value)  # type: ignore[no-any-return]


class DiTBlock(nn.Module):
    """Self-attention, fusion of the side streams, gated MLP; each modulated by the step and gated from zero."""

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        hidden_dim: int,
        kernel_frames: int,
        *,
        fuses: bool = True,
        shared_modulation: bool = False,
    ) -> None:
        """Make the three sub-layers, or the two without fusion."""
        super().__init__()
        num_sublayers = 3 if fuses or shared_modulation else 2
        self.modulation = (OffsetModulation if shared_modulation else Modulation)(d_model, num_sublayers)
        self.norm = nn.LayerNorm(d_model, elementwise_affine=False)
        self.attention = Attention(d_model, n_heads)
        self.fusion = Fusion(d_model, n_heads) if fuses else None
        self.mlp = GatedMlp(d_model, hidden_dim, kernel_frames)

    def forward(
        self,
        x: Float[Tensor, "batch frames d_model"],
        step: Float[Tensor, "batch step"],
        angles: Float[Tensor, "batch frames half"],
        valid: Bool[Tensor, "batch frames"],
        structure: Tokens,
        semantic: Tokens,
    ) -> Float[Tensor, "batch frames d_model"]:
        """[batch, frames, d_model]; the identity until training opens the gates.

        `step` is the step's embedding [batch, d_model], or the modulations that all blocks share.
        """
        to_attention, *between, to_mlp = self.modulation(step)
        inner = modulate(self.norm(x), to_attention)
        x = x + to_attention.gate * self.attention(inner, angles, inner, angles, valid)
        if self.fusion is not None:
            (to_fusion,) = between
            x = x + to_fusion.gate * self.fusion(modulate(self.norm(x), to_fusion), angles, structure, semantic)
        return x + to_mlp.gate * self.mlp(modulate(self.norm(x), to_mlp), valid)  # type: ignore[no-any-return]
