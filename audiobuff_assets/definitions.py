"""The Dagster code location: what `dagster dev` shows and `audiobuff demo` runs."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from audiobuff_assets import (
    audio_checks,
    degradation,
    evaluation,
    evaluation_checks,
    ingest,
    latents,
    model_checks,
    release,
    restoration,
    training,
)
from audiobuff_assets.corpus_files import corpus_folder
from jobs.jobs import ALL_JOBS
from jobs.sensors import register_new_audio
from resources.compute import Compute
from resources.encoder_suite import EncoderSuite
from resources.storage import Storage
from resources.trainer import Trainer

MODULES = (ingest, degradation, latents, training, evaluation, release, restoration)
CHECK_MODULES = (audio_checks, model_checks, evaluation_checks)


def build_defs(overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The definitions, with `overrides` in place of resources of the same name."""
    resources: dict[str, Any] = {
        "storage": Storage(),
        "encoders": EncoderSuite.configure_at_launch(),
        "compute": Compute.configure_at_launch(),
        "trainer": Trainer(),
    }
    return dg.Definitions(
        assets=[asset for module in MODULES for asset in dg.load_assets_from_modules([module], include_specs=True)],
        asset_checks=[found for module in CHECK_MODULES for found in dg.load_asset_checks_from_modules([module])],
        jobs=ALL_JOBS,
        sensors=[register_new_audio(corpus_folder())],
        resources={**resources, **(overrides or {})},
        # One process a run: starting one for each step costs more than most steps do.
        executor=dg.in_process_executor,
    )


defs = build_defs()
