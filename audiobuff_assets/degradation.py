"""Group `degradation`: training tracks are damaged on purpose, by a table that can be drawn again at any time."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from audiobuff_assets.columns import DEGRADED, PLAN, columns
from audiobuff_assets.results import OWNERS, TAGS, key, materialized
from resources.automation import when_inputs_change
from resources.code_version import code_version
from resources.partitions import SHARDS
from resources.presets import chosen_preset
from resources.retries import RETRIES, retried
from resources.storage import Storage

if TYPE_CHECKING:
    from audiobuff_core.data.damage import DegradedItem


PRESET = chosen_preset()


class DamageConfig(dg.Config):
    """What damage training sees."""

    recipe: str = Field(
        default=PRESET.recipe,
        description="`demo`, `seed`, `audiobuff`, kinds such as `hum+eq:tilt`, `audiobuff@FOLDER` with noise of the "
        "recordings in FOLDER, or the path of a TOML file.",
    )
    variants: int = Field(default=PRESET.variants, ge=1, le=64, description="Damaged versions of each track.")
    seed: int = Field(default=1337, description="Changes every draw.")


@dg.asset(
    key=key("degradation/plan"),
    metadata=columns(PLAN),
    group_name="degradation",
    deps=[key("audio/pristine")],
    partitions_def=SHARDS,
    kinds={"python", "json"},
    code_version=code_version("audiobuff_core.data.damage"),
    owners=OWNERS,
    tags=TAGS,
    automation_condition=when_inputs_change(),
    retry_policy=RETRIES,
)
@retried
def plan(context: dg.AssetExecutionContext, config: DamageConfig, storage: Storage) -> dg.MaterializeResult[Any]:
    """The parameter table: which faults each track gets, with every number that makes them.

    **One partition** is a shard. A row is a pure function of the seed, the audio's hash, the variant and the recipe.

    **Bytes**: `degradation/plan/<shard>.json`.

    **Guarded by** `parameters_in_range` (blocks): every row can be drawn again, and every parameter is
    what its kind allows.
    """
    from audiobuff_assets.pictures import shard_picture
    from audiobuff_assets.shard_tables import markdown_table
    from audiobuff_core.data.damage import plan_shard

    made = plan_shard(
        storage.url, context.partition_key, recipe=config.recipe, variants=config.variants, seed=config.seed
    )
    kinds = Counter(fault.kind for row in made.rows for fault in row.faults)
    worst = sorted(made.rows, key=lambda row: len(row.faults), reverse=True)
    metadata: dict[str, Any] = {
        "rows": len(made.rows),
        "faults": dg.MetadataValue.md("\n".join(["| fault | rows |", "|---|---|", *_lines(kinds)])),
        "worst_rows": markdown_table(
            ["track", "variant", "faults"],
            ([row.track_id, row.variant, ", ".join(fault.kind for fault in row.faults)] for row in worst),
        ),
    }
    if made.rows:
        metadata["picture"] = shard_picture({"faults a row": [len(row.faults) for row in made.rows]}, {})
    return materialized(context, made, options=config.model_dump(), metadata=metadata)


def _lines(kinds: Counter[str]) -> list[str]:
    return [f"| {kind} | {count} |" for kind, count in sorted(kinds.items())]


@dg.asset(
    key=key("audio/degraded"),
    metadata=columns(DEGRADED),
    group_name="degradation",
    deps=[key("audio/pristine"), key("degradation/plan")],
    partitions_def=SHARDS,
    pool="audio_io",
    kinds={"python", "file"},
    code_version=code_version("audiobuff_core.data.damage"),
    owners=OWNERS,
    tags=TAGS,
    automation_condition=when_inputs_change(),
    retry_policy=RETRIES,
)
@retried
def degraded(context: dg.AssetExecutionContext, storage: Storage) -> dg.MaterializeResult[Any]:
    """Training and validation tracks with the planned damage, sample for sample as long as the clean ones.

    **One partition** is a shard. Held-out tracks are not in it: only evaluation damages those.

    **Bytes**: `audio/degraded/<shard>/<track>.v<k>.wav` (32-bit float: nothing clips twice), beside it `.treated.wav`
    where the exact treatments found something (the network learns from what they leave, as it hears it in
    restoration), and `manifest.json`.

    **Guarded by** `aligned_with_pristine` (blocks) and `damage_within_spec`.
    """
    from audiobuff_core.data.damage import degrade_shard

    made = degrade_shard(storage.url, context.partition_key)
    metadata: dict[str, Any] = {"damaged_tracks": len(made.items)}
    if made.items:
        metadata |= _how_bad(made.items)
    return materialized(context, made, options={}, metadata=metadata)


def _how_bad(items: Sequence["DegradedItem"]) -> dict[str, Any]:
    """How far damaged is from clean: histograms, the worst tracks, and how the worst of them looks."""
    from audiobuff_assets.pictures import shard_picture
    from audiobuff_assets.shard_tables import markdown_table
    from audiobuff_core.audio.read import read_audio

    def decibels(power: float) -> float:
        return 10.0 * math.log10(power + 1e-12)

    def measures(item: "DegradedItem") -> tuple[float, float]:
        clean, damaged = (read_audio(path).samples[0] for path in (item.clean_path, item.path))
        signal, error, level = (float((part**2).mean()) for part in (clean, damaged - clean, damaged))
        return decibels(signal) - decibels(error), decibels(level)

    found = {f"{item.track_id}.v{item.variant}": (item, *measures(item)) for item in items}
    worst = sorted(found, key=lambda name: found[name][1])
    first = found[worst[0]][0]
    rows = ([name, *found[name][1:], ", ".join(one.kind for one in found[name][0].row.faults)] for name in worst)
    return {
        "worst_tracks": markdown_table(["track", "SNR dB", "RMS dBFS", "faults"], rows),
        "spectrograms": shard_picture(
            {"SNR, dB": [one[1] for one in found.values()], "RMS, dBFS": [one[2] for one in found.values()]},
            {"worst, clean": first.clean_path, "worst, damaged": first.path},
        ),
    }
