"""The diffusion transformer that predicts the flow's velocity."""

import os
import shutil
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from audiobuff_core.errors import InvalidConfig
from audiobuff_core.models.block import DiTBlock
from audiobuff_core.models.conditioning import Tokens
from audiobuff_core.models.modulation import Modulation, StepEmbedding, modulate
from audiobuff_core.models.rotary import rotary_angles


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneConfig:
    """Sizes of the network; none depends on the width of the latents.

    Attributes:
        latent_dim: width of a target latent frame.
        d_model: width of the residual stream, a multiple of twice `n_heads`.
        n_heads: attention heads.
        depth: number of blocks.
        hidden_dim: inner width of the gated MLP.
        kernel_frames: reach of the convolutions, odd.
        predicts_scale: whether it also says how sure it is of every coefficient.
        magnitude_input: whether it is shown `log_magnitude` of the damaged latent too; for latents of frequencies.
        shared_modulation: whether all blocks share one modulation, which halves a small network.
        fusion_every: the side streams are fused in every so many-th block.
    """

    latent_dim: int
    d_model: int = 1024
    n_heads: int = 16
    depth: int = 12
    hidden_dim: int = 2816
    kernel_frames: int = 5
    predicts_scale: bool = False
    magnitude_input: bool = False
    shared_modulation: bool = False
    fusion_every: int = 1


class Prediction(NamedTuple):
    """What the network says at one point of the flow, in float32.

    Attributes:
        velocity: [batch, frames, latent].
        log_scale: logarithm of the standard deviation of the data around the estimate, [batch, frames, latent];
            meant where `x_t` is the damaged latent itself; None if the network predicts none.
    """

    velocity: Float[Tensor, "batch frames latent"]
    log_scale: Float[Tensor, "batch frames latent"] | None


HEAD_SCALE = 8.0
"""What the head's projection is multiplied by.

Adam moves every weight by about the learning rate, however small its gradient. A channel that damage has turned down
tenfold (bass below a high-pass) needs fields of that size soon, which this gives without a larger rate for all else.
"""


LOG_SCALE_LIMIT = 5.0
"""Largest magnitude of `log_scale`: standardised coefficients deviate by 0.007 to 148."""


MAGNITUDE_FLOOR = 1e-4


def log_magnitude(latents: Float[Tensor, "batch frames latent"]) -> Float[Tensor, "batch frames latent"]:
    """How loud every coefficient's neighbourhood is, about -2 to 2, whatever the phase of what sounds there.

    The pseudo-spectrum of an MDCT, `X_k^2 + (X_{k+1} - X_{k-1})^2` (Daudet & Sandler 2004, "MDCT analysis of
    sinusoids"), as a logarithm. A narrow linear layer can't find it: signs of coefficients look like chance.
    """
    padded = nn.functional.pad(latents.float(), (1, 1))
    power = latents.float().square() + (padded[..., 2:] - padded[..., :-2]).square()
    return (power + MAGNITUDE_FLOOR).log() * 0.3 + 0.6


class GatedHead(nn.Module):
    """From the residual stream to a velocity `sigmoid(g) (a x_t + b damaged + c)`, elementwise, and a scale.

    A stream narrower than the latent cannot carry every coefficient's detail; the three fields let it steer the
    detail that `x_t` and `damaged` already have. All zero at the start: the network begins by changing nothing.
    """

    def __init__(self, d_model: int, latent_dim: int, *, predicts_scale: bool = False) -> None:
        """Make the projection, zero-initialised."""
        super().__init__()
        self.predicts_scale = predicts_scale
        self.fields = nn.Linear(d_model, (5 if predicts_scale else 4) * latent_dim)
        nn.init.zeros_(self.fields.weight)
        nn.init.zeros_(self.fields.bias)

    def forward(
        self,
        stream: Float[Tensor, "batch frames d_model"],
        x_t: Float[Tensor, "batch frames latent"],
        damaged: Float[Tensor, "batch frames latent"],
    ) -> Prediction:
        """Velocity and scale in float32."""
        fields = self.fields(stream).float().mul_(HEAD_SCALE).chunk(5 if self.predicts_scale else 4, dim=-1)
        from_x_t, from_damaged, free, gate = fields[:4]
        velocity = torch.sigmoid(gate) * torch.addcmul(torch.addcmul(free, from_x_t, x_t), from_damaged, damaged)
        # Bounded smoothly: a likelihood pulls the scale of a coefficient that is always right towards zero.
        log_scale = LOG_SCALE_LIMIT * torch.tanh(fields[4] / LOG_SCALE_LIMIT) if self.predicts_scale else None
        return Prediction(velocity, log_scale)


class _SharedModulation(nn.Module):
    """From the step's embedding to the modulations that all blocks share, [batch, 9 d_model]; zero at the start."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.linear = nn.Linear(d_model, 9 * d_model)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, embedding: Float[Tensor, "batch d_model"]) -> Float[Tensor, "batch modulations"]:
        return self.linear(nn.functional.silu(embedding))  # type: ignore[no-any-return]


class Backbone(nn.Module):
    """DiT (Peebles & Xie 2023): blocks on the target's frames, fused with the side streams, and the gated head.

    Attributes:
        gradient_checkpointing: whether the backward pass computes the blocks' insides again instead of keeping them.
    """

    def __init__(self, config: BackboneConfig) -> None:
        """Make the network of these sizes."""
        super().__init__()
        self.config = config
        self.gradient_checkpointing = False
        self.head_dim = config.d_model // config.n_heads
        kernel = config.kernel_frames
        self.embed_step = StepEmbedding(config.d_model)
        num_inputs = 3 if config.magnitude_input else 2
        self.proj_in = nn.Conv1d(num_inputs * config.latent_dim, config.d_model, kernel_size=3, padding=1)
        self.modulation = _SharedModulation(config.d_model) if config.shared_modulation else nn.Identity()
        self.blocks = nn.ModuleList(
            DiTBlock(
                config.d_model,
                config.n_heads,
                config.hidden_dim,
                kernel,
                fuses=index % config.fusion_every == 0,
                shared_modulation=config.shared_modulation,
            )
            for index in range(config.depth)
        )
        self.norm_out = nn.LayerNorm(config.d_model, elementwise_affine=False)
        self.modulation_out = Modulation(config.d_model, num_sublayers=1)
        self.head = GatedHead(config.d_model, config.latent_dim, predicts_scale=config.predicts_scale)

    def forward(
        self,
        x_t: Float[Tensor, "batch frames latent"],
        t: Float[Tensor, "batch"],
        tau: Float[Tensor, "batch"],
        damaged: Float[Tensor, "batch frames latent"],
        times: Float[Tensor, "batch frames"],
        valid: Bool[Tensor, "batch frames"],
        structure: Tokens,
        semantic: Tokens,
    ) -> Prediction:
        """Velocity and scale at `x_t`; `times` are the frames' moments in seconds."""
        embedding = self.embed_step(t, tau)
        angles = rotary_angles(times, self.head_dim)
        inputs = [x_t, damaged, log_magnitude(damaged)] if self.config.magnitude_input else [x_t, damaged]
        shown = torch.cat(inputs, dim=-1) * valid[..., None]
        stream = self.proj_in(shown.transpose(1, 2)).transpose(1, 2).contiguous()
        step = self.modulation(embedding)
        for block in self.blocks:
            stream = self._through(block, stream, step, angles, valid, structure, semantic)
        (last,) = self.modulation_out(embedding)
        return self.head(modulate(self.norm_out(stream), last), x_t, damaged)  # type: ignore[no-any-return]

    def compile_blocks(self) -> None:
        """Compile every block in place; they share their code, so it is compiled once for each kind of input.

        Raises:
            InvalidConfig: the network is on the CPU, and there is no C++ compiler.
        """
        compiler = os.environ.get("CXX", "g++")
        if self.proj_in.weight.device.type == "cpu" and shutil.which(compiler) is None:
            raise InvalidConfig(
                f"Compiling for the CPU needs a C++ compiler, and there is no {compiler}: install one, name yours in "
                "CXX, or leave --compile out"
            )
        for block in self.blocks:
            block.compile(dynamic=True)

    def _through(self, block: nn.Module, *inputs: Tensor | Tokens) -> Tensor:
        if self.gradient_checkpointing and torch.is_grad_enabled():
            # There is no dropout: nothing random would have to be drawn again.
            kept: Tensor = checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False)
            return kept
        stream: Tensor = block(*inputs)
        return stream
