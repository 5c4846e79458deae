"""Group `evaluation`: unseen tracks are damaged, restored and measured, one kind of damage at a time."""

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from audiobuff_assets.columns import CLIPS, LEADERBOARD, METRICS, RESTORED_CLIPS, columns
from audiobuff_assets.results import OWNERS, TAGS, key, made_from, materialized
from audiobuff_core.errors import DataMissing
from audiobuff_core.files import join
from resources.automation import when_inputs_change
from resources.code_version import code_version
from resources.compute import Compute
from resources.currency import INPUTS, data_versions, recorded
from resources.partitions import DAMAGE_KINDS, EVALUATIONS, split_evaluation_key
from resources.presets import chosen_preset
from resources.retries import RETRIES, retried
from resources.storage import Storage

if TYPE_CHECKING:
    from audiobuff_core.audio.waveform import Waveform
    from audiobuff_core.evaluation.table import MetricTable


PRESET = chosen_preset()


class HeldOutConfig(dg.Config):
    """Which clips are damaged for evaluation."""

    seed: int = Field(default=1337, description="Changes every draw.")
    clip_seconds: float = Field(default=PRESET.clip_seconds, gt=0, description="Length of a clip in seconds.")
    max_clips: int = Field(
        default=PRESET.max_clips, ge=1, description="Clips a kind; the kind `seed` takes every held-out track."
    )


@dg.asset(
    key=key("evaluation/degraded"),
    metadata=columns(CLIPS),
    group_name="evaluation",
    deps=[dg.AssetDep(key("audio/pristine"), partition_mapping=dg.AllPartitionMapping())],
    partitions_def=DAMAGE_KINDS,
    pool="audio_io",
    kinds={"python", "file"},
    code_version=code_version("audiobuff_core.evaluation.held_out"),
    owners=OWNERS,
    tags=TAGS,
    automation_condition=when_inputs_change(whole=False),
    retry_policy=RETRIES,
)
@retried
def held_out(context: dg.AssetExecutionContext, config: HeldOutConfig, storage: Storage) -> dg.MaterializeResult[Any]:
    """Clips of tracks that training never sees, damaged in one way.

    **One partition** is a kind of damage, over the held-out tracks of all shards.

    **Bytes**: `evaluation/degraded/<kind>/<track>.clean.wav`, `.degraded.wav` and `manifest.json`.

    **Guarded by** `aligned_with_pristine` (blocks).
    """
    from audiobuff_assets.pictures import spectrograms
    from audiobuff_core.evaluation.held_out import damage_held_out

    shards = sorted(data_versions(context.instance, key("audio/pristine")))
    if not shards:
        raise DataMissing(
            "No shard of audio/pristine is materialised, expected at least one: run encode_new_audio first."
        )
    made = damage_held_out(
        storage.url,
        context.partition_key,
        shards=shards,
        seed=config.seed,
        clip_seconds=config.clip_seconds,
        max_clips=config.max_clips,
    )
    first = made.items[0]
    return materialized(
        context,
        made,
        options=config.model_dump(),
        metadata={
            "clips": len(made.items),
            "spectrograms": spectrograms({"clean": first.clean_path, "damaged": first.degraded_path}),
        },
    )


class RestorationConfig(dg.Config):
    """How held-out clips are restored."""

    steps: int | None = Field(default=None, description="Solver steps; unset takes the profile's own number.")
    treatments: bool = Field(default=True, description="Exact treatments before the network; false: the network alone.")


@dg.asset(
    key=key("evaluation/restorations"),
    metadata=columns(RESTORED_CLIPS),
    group_name="evaluation",
    deps=[held_out, key("model/dit_checkpoint")],
    partitions_def=EVALUATIONS,
    pool="gpu",
    kinds={"pytorch", "file"},
    code_version=code_version("audiobuff_core.evaluation.restorations"),
    owners=OWNERS,
    tags=TAGS,
    retry_policy=RETRIES,
)
@retried
def restorations(
    context: dg.AssetExecutionContext, config: RestorationConfig, storage: Storage, compute: Compute
) -> dg.MaterializeResult[Any]:
    """Damaged clips after the exact treatments and the network, as a user's recording is restored.

    **One partition** is a checkpoint on a kind of damage.

    **Bytes**: `evaluation/restorations/<checkpoint>/<kind>/<track>.wav` and `manifest.json`.

    **Guarded by** `finite_and_same_length` (blocks).
    """
    from audiobuff_assets.pictures import spectrograms
    from audiobuff_core.evaluation.held_out import load_held_out
    from audiobuff_core.evaluation.restorations import restore_set
    from audiobuff_core.inference.agreement import treated_and_restored

    def restored(damaged: "Waveform") -> "Waveform":
        if config.treatments:
            return treated_and_restored(restorer, damaged, steps=config.steps)
        return restorer.restore(damaged, steps=config.steps)

    checkpoint, kind = split_evaluation_key(context.partition_key)
    restorer = compute.restorer(join(storage.url, "checkpoints", checkpoint))
    made = restore_set(
        storage.url,
        checkpoint,
        kind,
        restore=restored,
        identity={**restorer.identity, "treatments": config.treatments},
        steps=config.steps,
    )
    first = made.items[0]
    (damaged,) = (
        item.degraded_path for item in load_held_out(storage.url, kind).items if item.track_id == first.track_id
    )
    return materialized(
        context,
        made,
        options=config.model_dump(),
        metadata={
            "clips": len(made.items),
            "spectrograms": spectrograms({"damaged": damaged, "restored": first.path}),
        },
    )


class MetricsConfig(dg.Config):
    """What restored clips are measured by."""

    metrics: list[str] = Field(
        default=[],
        description="Names of metrics (`audiobuff evaluate --list`), or `all`; none takes the quick ones, of quality, "
        "level and harm. LSD and SI-SDR, which decide, are always measured; what lacks a package is a named gap.",
    )


@dg.asset(
    key=key("evaluation/metrics"),
    metadata=columns(METRICS),
    group_name="evaluation",
    deps=[held_out, restorations],
    partitions_def=EVALUATIONS,
    pool="audio_io",
    kinds={"numpy", "json"},
    code_version=code_version("audiobuff_core.evaluation.measure"),
    owners=OWNERS,
    tags=TAGS,
    retry_policy=RETRIES,
)
@retried
def metrics(context: dg.AssetExecutionContext, config: MetricsConfig, storage: Storage) -> dg.MaterializeResult[Any]:
    """How near the clean clips are: the damaged input (floor), the restored output, the codec's round trip (ceiling).

    **One partition** is a checkpoint on a kind of damage.

    **Bytes**: `evaluation/metrics/<checkpoint>/<kind>.json`, every clip and the means with bootstrap intervals.

    **Guarded by** `better_than_input` (warns).
    """
    from audiobuff_assets.pictures import gains_picture
    from audiobuff_core.evaluation.measure import measure_set

    checkpoint, kind = split_evaluation_key(context.partition_key)
    made = measure_set(storage.url, checkpoint, kind, metrics=config.metrics)
    rows = {"degraded": made.degraded, "restored": made.restored, "ceiling": made.ceiling}
    numbers = {f"{name}/{row}": value for row, means in rows.items() for name, value in means.items()}
    gaps = {f"{name}/gap": reason for name, reason in made.gaps.items()}
    found = {**numbers, **gaps, "worst_clips": _worst_clips(made), INPUTS: made_from(context, {})}
    found["picture"] = gains_picture([made])
    return materialized(context, made, options=config.model_dump(), metadata=found)


def _worst_clips(table: "MetricTable") -> dg.MarkdownMetadataValue:
    """The clips that gained least, as a table."""
    lines = ["| clip | LSD gain, dB | SI-SDR gain, dB |", "|---|---|---|"]
    for clip in table.worst(20):
        lines.append(f"| {clip.track_id} | {clip.gains['lsd_db']:.2f} | {clip.gains['si_sdr_db']:.2f} |")
    return dg.MetadataValue.md("\n".join(lines))


@dg.asset(
    key=key("evaluation/leaderboard"),
    metadata=columns(LEADERBOARD),
    group_name="evaluation",
    deps=[metrics, key("model/dit_checkpoint")],
    kinds={"python", "html"},
    code_version=code_version("audiobuff_core.evaluation.leaderboard"),
    owners=OWNERS,
    tags=TAGS,
    retry_policy=RETRIES,
)
@retried
def leaderboard(context: dg.AssetExecutionContext, storage: Storage) -> dg.MaterializeResult[Any]:
    """Every checkpoint on every kind of damage, and the report to read and listen to, which plays the newest.

    **No partitions**: it takes all evaluations that are materialised.

    **Bytes**: `evaluation/leaderboard/leaderboard.json` and `report.html`, one file that needs no server.

    **Guarded by** `covers_all_degradations` (warns).
    """
    from audiobuff_assets.pictures import gains_found
    from audiobuff_core.evaluation.leaderboard import make_leaderboard

    keys = data_versions(context.instance, key("evaluation/metrics"))
    checkpoints = sorted({split_evaluation_key(found)[0] for found in keys})
    if not checkpoints:
        raise DataMissing(
            "No evaluation is materialised, expected at least one: run the job evaluate_checkpoint first."
        )
    newest = recorded(context.instance, key("model/dit_checkpoint"), None, "checkpoint")
    made = make_leaderboard(storage.url, checkpoints, featured=newest if newest in checkpoints else None)
    (kinds,) = (row.kinds for row in made.rows if row.checkpoint == made.featured)
    return materialized(
        context,
        made,
        options={},
        metadata={
            "checkpoints": len(checkpoints),
            "report": dg.MetadataValue.path(str(made.report_path)),
            **gains_found(storage.url, made.featured, kinds),
        },
    )
