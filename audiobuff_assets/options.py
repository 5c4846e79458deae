"""What the demo may be asked for, and the configuration of every asset that follows from it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from audiobuff_assets.degradation import DamageConfig
from audiobuff_assets.evaluation import HeldOutConfig, MetricsConfig, RestorationConfig
from audiobuff_assets.ingest import IngestConfig
from audiobuff_assets.restoration import RestoreConfig
from audiobuff_assets.results import key
from audiobuff_assets.training import TrainingConfig
from audiobuff_core.codecs.registry import (
    load_codec,
    load_feature_encoder,
)
from resources.encoder_suite import EncoderSuite
from resources.presets import PRESETS

DEMO = PRESETS["demo"]


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """The options of `audiobuff demo`."""

    out: Path | None = None
    seed: int = 1337
    codec: str = "builtin"
    structure: str = "builtin"
    semantic: str = "builtin"
    profile: str = "demo"
    debug: bool = False

    @property
    def home(self) -> Path:
        """The Dagster home; without `out` the one that `dagster dev` opens in this folder."""
        return (self.out or Path()).absolute() / ".dagster"

    @property
    def publish_folder(self) -> Path:
        """Where the results are put for a person to find."""
        return self.out.absolute() if self.out else Path("audiobuff_demo").absolute()

    @property
    def encoders(self) -> EncoderSuite:
        """The encoders asked for."""
        return EncoderSuite(codec=self.codec, structure=self.structure, semantic=self.semantic)

    def check(self) -> None:
        """Refuse encoders that are unknown, or lack their weights, before anything slow begins.

        Raises:
            EncoderUnavailable: naming the known ones, or how to get the weights.
        """
        if self.codec != "builtin":
            load_codec(self.codec)
        if self.structure != "builtin":
            load_feature_encoder("structure", self.structure)
        if self.semantic != "builtin":
            load_feature_encoder("semantic", self.semantic)

    def configs(self) -> dict[dg.AssetKey, dg.Config]:
        """The configuration of each asset that has one."""
        configs: dict[str, dg.Config] = {
            "audio/pristine": IngestConfig(),
            "degradation/plan": DamageConfig(recipe=DEMO.recipe, variants=DEMO.variants, seed=self.seed),
            "model/dit_checkpoint": TrainingConfig(profile=self.profile, start_from="", seed=self.seed),
            "evaluation/degraded": HeldOutConfig(
                clip_seconds=DEMO.clip_seconds, max_clips=DEMO.max_clips, seed=self.seed
            ),
            "evaluation/restorations": RestorationConfig(),
            "evaluation/metrics": MetricsConfig(),
            "restoration/restored": RestoreConfig(),
        }
        return {key(name): config for name, config in configs.items()}

    def fingerprint_options(self, asset: dg.AssetKey) -> dict[str, Any]:
        """What the asset itself will record as its options."""
        if asset.path[0] == "latents" or asset == key("dataset/training_snapshot"):
            return self.encoders.options()
        config = self.configs().get(asset)
        return {} if config is None else config.model_dump()
