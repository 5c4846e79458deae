"""The original's network, frozen: old weights give what they always gave (architecture `lcfm-dit-v0`).

Nothing here may change. Its weaknesses (no positions, no norm before attention, time not scaled, side streams
stretched to the target's length) are part of what the weights were trained for; new work goes to `models.model`,
whose blocks would take these weights without complaint and give garbage.
"""

import math
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from audiobuff_core.errors import InvalidCheckpoint

LEGACY_ARCHITECTURE = "lcfm-dit-v0"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyConfig:
    """Sizes by the original's names; it could only be trained where `d_model` equals `in_channels`."""

    in_channels: int = 1024
    d_model: int = 1024
    n_heads: int = 16
    depth: int = 12
    xcodec_dim: int = 512
    mae_dim: int = 768

    def __post_init__(self) -> None:
        """Check that the network can exist.

        Raises:
            InvalidCheckpoint: it can't.
        """
        if self.d_model != self.in_channels:
            raise InvalidCheckpoint(
                f"d_model {self.d_model} and in_channels {self.in_channels} differ: {LEGACY_ARCHITECTURE} aligns its "
                "side streams to in_channels and needs both equal; use a checkpoint where they are"
            )
        if min(asdict(self).values()) < 1 or self.d_model % self.n_heads or self.d_model < 4 or self.d_model % 2:
            raise InvalidCheckpoint(
                f"{LEGACY_ARCHITECTURE} of sizes {asdict(self)}: expected positive numbers and an even d_model that "
                "n_heads divides"
            )

    def as_dict(self) -> dict[str, int]:
        """The fields, for a config file."""
        return asdict(self)


class SinusoidalTime(nn.Module):
    """Sines, then cosines, of `t` in 0 to 1, with period 10000 and `half - 1` in the exponent."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.num_rates = dim // 2

    def forward(self, t: Float[Tensor, "batch"]) -> Float[Tensor, "batch dim"]:
        """[batch, dim]."""
        rates = torch.exp(torch.arange(self.num_rates, device=t.device) * -(math.log(10_000) / (self.num_rates - 1)))
        angles = t[:, None] * rates[None]
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class LegacyFusion(nn.Module):
    """Cross-attention to X-Codec, then to AudioMAE, then an MLP, each normalised after its residual."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.cross_attn_xcodec = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.cross_attn_mae = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.ffn = nn.Sequential(nn.Linear(d_model, 4 * d_model), nn.GELU(), nn.Linear(4 * d_model, d_model))
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(d_model), nn.LayerNorm(d_model), nn.LayerNorm(d_model)

    def forward(self, x: Tensor, xcodec: Tensor, mae: Tensor) -> Tensor:
        """All [batch, frames, d_model]."""
        x = self.norm1(x + _attend(self.cross_attn_xcodec, x, xcodec))
        x = self.norm2(x + _attend(self.cross_attn_mae, x, mae))
        return self.norm3(x + self.ffn(x))  # type: ignore[no-any-return]


class LegacyBlock(nn.Module):
    """Self-attention and fusion, each modulated without a norm and gated."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.fusion = LegacyFusion(d_model, n_heads)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(d_model, 6 * d_model))

    def forward(self, x: Tensor, embedding: Tensor, xcodec: Tensor, mae: Tensor) -> Tensor:
        """All [batch, frames, d_model] but `embedding` [batch, d_model]."""
        parts = self.adaLN_modulation(embedding)[:, None].chunk(6, dim=-1)
        shift_attn, scale_attn, gate_attn, shift_fusion, scale_fusion, gate_fusion = parts
        inner = x * (1 + scale_attn) + shift_attn
        x = x + gate_attn * _attend(self.attn, inner, inner)
        return x + gate_fusion * self.fusion(x * (1 + scale_fusion) + shift_fusion, xcodec, mae)  # type: ignore[no-any-return]


class LegacyBackbone(nn.Module):
    """The vector field network."""

    def __init__(self, config: LegacyConfig) -> None:
        super().__init__()
        d_model = config.d_model
        self.time_mlp = nn.Sequential(
            SinusoidalTime(d_model), nn.Linear(d_model, d_model), nn.SiLU(), nn.Linear(d_model, d_model)
        )
        self.proj_in = nn.Linear(config.in_channels, d_model)
        self.blocks = nn.ModuleList(LegacyBlock(d_model, config.n_heads) for _ in range(config.depth))
        self.norm_out = nn.LayerNorm(d_model)
        self.proj_out = nn.Linear(d_model, config.in_channels)

    def forward(self, x_t: Tensor, t: Tensor, xcodec: Tensor, mae: Tensor) -> Tensor:
        """The velocity [batch, frames, in_channels]."""
        embedding = self.time_mlp(t)
        stream = self.proj_in(x_t)
        for block in self.blocks:
            stream = block(stream, embedding, xcodec, mae)
        return self.proj_out(self.norm_out(stream))  # type: ignore[no-any-return]


class StreamAligner(nn.Module):
    """One side stream, projected to the latent's width and stretched to its length."""

    def __init__(self, feature_dim: int, in_channels: int) -> None:
        super().__init__()
        self.proj = nn.Linear(feature_dim, in_channels)

    def forward(self, features: Tensor, num_frames: int) -> Tensor:
        """[batch, num_frames, in_channels]."""
        projected = self.proj(features).transpose(1, 2)
        stretched = functional.interpolate(projected, size=num_frames, mode="linear", align_corners=False)
        return stretched.transpose(1, 2)


class LegacyAligner(nn.Module):
    """Both side streams."""

    def __init__(self, config: LegacyConfig) -> None:
        super().__init__()
        self.xcodec_aligner = StreamAligner(config.xcodec_dim, config.in_channels)
        self.mae_aligner = StreamAligner(config.mae_dim, config.in_channels)

    def forward(self, x_t: Tensor, xcodec: Tensor | None, mae: Tensor | None) -> tuple[Tensor, Tensor]:
        """Each as `x_t` [batch, frames, in_channels]; a stream that is None is the null condition, zeros."""
        aligned_xcodec = torch.zeros_like(x_t) if xcodec is None else self.xcodec_aligner(xcodec, x_t.shape[1])
        aligned_mae = torch.zeros_like(x_t) if mae is None else self.mae_aligner(mae, x_t.shape[1])
        return aligned_xcodec, aligned_mae


class LegacyModel(nn.Module):
    """Aligner and vector field network, under the prefixes of the original's state dicts."""

    def __init__(self, config: LegacyConfig) -> None:
        super().__init__()
        self.config = config
        self.vfn = LegacyBackbone(config)
        self.aligner = LegacyAligner(config)

    def forward(
        self,
        x_t: Float[Tensor, "batch frames latent"],
        t: Float[Tensor, "batch"],
        xcodec: Float[Tensor, "batch xcodec_frames xcodec_dim"] | None,
        audiomae: Float[Tensor, "batch mae_frames mae_dim"] | None,
    ) -> Float[Tensor, "batch frames latent"]:
        """The velocity; a stream that is None is the null condition, zeros after the aligner."""
        return self.vfn(x_t, t, *self.aligner(x_t, xcodec, audiomae))  # type: ignore[no-any-return]


def _attend(attention: nn.MultiheadAttention, target: Tensor, context: Tensor) -> Tensor:
    # Without the weights, the fused kernel does it: the same values, no [frames, frames] matrix.
    gathered: Tensor = attention(target, context, context, need_weights=False)[0]
    return gathered
