"""The network that a run trains: ours, or the original's where its weights are to be trained on."""

from typing import Any

from torch import Tensor

from audiobuff_core.errors import InvalidConfig
from audiobuff_core.models.legacy import LEGACY_ARCHITECTURE, LegacyConfig
from audiobuff_core.models.legacy_export import LegacyExport, write_legacy_export
from audiobuff_core.models.legacy_field import LegacyField
from audiobuff_core.models.model import ModelConfig, RestorationModel, Standardisers
from audiobuff_core.models.schema import write_export
from audiobuff_core.training.config import TrainingConfig

Network = RestorationModel | LegacyField


def make_network(config: TrainingConfig, dims: dict[str, int]) -> Network:
    """A new network of the architecture and sizes of `config`, for streams of these widths.

    Args:
        config: options.
        dims: width of each stream.

    Raises:
        InvalidConfig: latents of another width than the original's architecture can take.
        InvalidCheckpoint: its other sizes contradict each other.
    """
    if config.architecture == LEGACY_ARCHITECTURE:
        if config.d_model != dims["target"]:
            raise InvalidConfig(
                f"d_model {config.d_model} but latents of width {dims['target']}: a network of the original is as wide "
                "as its latents; prepare them with the codec that it was trained with, or begin without it"
            )
        sizes = LegacyConfig(
            in_channels=dims["target"],
            d_model=config.d_model,
            n_heads=config.n_heads,
            depth=config.depth,
            xcodec_dim=dims["structure"],
            mae_dim=dims["semantic"],
        )
        return LegacyField(sizes)
    return RestorationModel(
        ModelConfig(
            latent_dim=dims["target"],
            structure_dim=dims["structure"],
            semantic_dim=dims["semantic"],
            d_model=config.d_model,
            n_heads=config.n_heads,
            depth=config.depth,
            hidden_dim=config.hidden_dim,
            kernel_frames=config.kernel_frames,
            predicts_scale=config.source == "uncertainty",
            magnitude_input=config.magnitude_input,
            shared_modulation=config.shared_modulation,
            fusion_every=config.fusion_every,
        )
    )


def export_network(
    folder: str, network: Network, state: dict[str, Tensor], standardisers: Standardisers, meta: dict[str, Any]
) -> str:
    """Write `state`, averaged weights of `network`, as an export; the SHA-256 of the weights."""
    if isinstance(network, RestorationModel):
        return write_export(folder, state, network.config, standardisers, meta)
    return write_legacy_export(folder, LegacyExport(network.config, "ema", state, meta))
