"""The restoration network: aligner and backbone, with the statistics that standardise what goes in."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from audiobuff_core.errors import InvalidCheckpoint
from audiobuff_core.models.backbone import Backbone, BackboneConfig, Prediction
from audiobuff_core.models.conditioning import ConditionAligner, SideStream, Tokens

ARCHITECTURE = "lcfm-dit-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Everything needed to build the network again.

    Attributes:
        latent_dim: width of the codec's latent frames.
        structure_dim: width of the structure stream.
        semantic_dim: width of the semantic stream.
        d_model: width of the residual stream.
        n_heads: attention heads.
        depth: number of blocks.
        hidden_dim: inner width of the gated MLP.
        kernel_frames: reach of the convolutions, odd.
        predicts_scale: whether it also says how sure it is of every coefficient (the source `uncertainty` needs it).
    """

    latent_dim: int
    structure_dim: int
    semantic_dim: int
    d_model: int = 1024
    n_heads: int = 16
    depth: int = 12
    hidden_dim: int = 2816
    kernel_frames: int = 5
    predicts_scale: bool = False
    magnitude_input: bool = False
    shared_modulation: bool = False
    fusion_every: int = 1

    def as_dict(self) -> dict[str, Any]:
        """The fields, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "ModelConfig":
        """The config that `as_dict` gave.

        Raises:
            InvalidCheckpoint: a field is missing or unknown.
        """
        try:
            return cls(**fields)
        except TypeError as error:
            raise InvalidCheckpoint(f"Model config {fields} does not fit {ARCHITECTURE}: {error}") from error


class RestorationModel(nn.Module):
    """The velocity of a damaged recording's latent, given its side streams.

    The parts keep the original's names: `vfn` (vector field network) and `aligner`.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Make both parts."""
        super().__init__()
        self.config = config
        self.vfn = Backbone(
            BackboneConfig(
                latent_dim=config.latent_dim,
                d_model=config.d_model,
                n_heads=config.n_heads,
                depth=config.depth,
                hidden_dim=config.hidden_dim,
                kernel_frames=config.kernel_frames,
                predicts_scale=config.predicts_scale,
                magnitude_input=config.magnitude_input,
                shared_modulation=config.shared_modulation,
                fusion_every=config.fusion_every,
            )
        )
        head_dim = config.d_model // config.n_heads
        self.aligner = ConditionAligner(config.structure_dim, config.semantic_dim, config.d_model, head_dim)

    def forward(
        self,
        x_t: Float[Tensor, "batch frames latent"],
        t: Float[Tensor, "batch"],
        tau: Float[Tensor, "batch"],
        damaged: Float[Tensor, "batch frames latent"],
        times: Float[Tensor, "batch frames"],
        valid: Bool[Tensor, "batch frames"],
        structure: SideStream,
        semantic: SideStream,
    ) -> Prediction:
        """Velocity and scale in float32; standardised latents and features go in."""
        tokens: tuple[Tokens, Tokens] = self.aligner(structure, semantic)
        return self.vfn(x_t, t, tau, damaged, times, valid, *tokens)  # type: ignore[no-any-return]

    def velocity(
        self,
        x_t: Float[Tensor, "batch frames latent"],
        t: Float[Tensor, "batch"],
        tau: Float[Tensor, "batch"],
        damaged: Float[Tensor, "batch frames latent"],
        times: Float[Tensor, "batch frames"],
        valid: Bool[Tensor, "batch frames"],
        structure: SideStream,
        semantic: SideStream,
    ) -> Float[Tensor, "batch frames latent"]:
        """The velocity alone."""
        prediction: Prediction = self(x_t, t, tau, damaged, times, valid, structure, semantic)
        return prediction.velocity

    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())


@dataclass(frozen=True, slots=True, eq=False)
class Standardiser:
    """Mean and standard deviation a channel of one stream: [dim] each, float32, deviations above 0."""

    mean: Float[Tensor, "dim"]
    std: Float[Tensor, "dim"]

    def to_standard(self, values: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """`(values - mean) / std`."""
        return (values - self.mean) / self.std

    def from_standard(self, values: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """`values * std + mean`."""
        return values * self.std + self.mean

    def to(self, device: torch.device) -> "Standardiser":
        """The same on `device`."""
        return Standardiser(self.mean.to(device), self.std.to(device))


STREAMS = ("target", "structure", "semantic")
Standardisers = dict[str, Standardiser]
"""One standardiser for each name in `STREAMS`."""


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameters with decay (matrices) and without it (norms, biases, null tokens)."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def standardiser_from(mean: list[float], std: list[float]) -> Standardiser:
    """A standardiser from plain numbers."""
    return Standardiser(torch.tensor(mean, dtype=torch.float32), torch.tensor(std, dtype=torch.float32))
