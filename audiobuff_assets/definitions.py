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
from jobs.checkpoints import evaluate_new_checkpoint, register_new_checkpoints, release_evaluated_checkpoint
from jobs.dropped_files import restore_dropped_files
from jobs.failures import report_failed_runs
from jobs.jobs import ALL_JOBS
from jobs.schedules import nightly_audit, weekly_retraining
from jobs.sensors import keep_latents_current, register_new_audio
from resources.environments import environment_resources

MODULES = (ingest, degradation, latents, training, evaluation, release, restoration)
CHECK_MODULES = (audio_checks, model_checks, evaluation_checks)


def build_defs(overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The definitions, with `overrides` in place of resources of the same name."""
    return dg.Definitions(
        assets=[asset for module in MODULES for asset in dg.load_assets_from_modules([module], include_specs=True)],
        asset_checks=[found for module in CHECK_MODULES for found in dg.load_asset_checks_from_modules([module])],
        jobs=ALL_JOBS,
        schedules=[weekly_retraining, nightly_audit],
        sensors=[
            register_new_audio(corpus_folder()),
            keep_latents_current,
            register_new_checkpoints,
            evaluate_new_checkpoint,
            release_evaluated_checkpoint,
            restore_dropped_files,
            report_failed_runs,
        ],
        resources={**environment_resources(), **(overrides or {})},
        # One process a run: starting one for each step costs more than most steps do.
        executor=dg.in_process_executor,
    )


defs = build_defs()
