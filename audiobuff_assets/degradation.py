"""Group `degradation`: training tracks are damaged on purpose, by a table that can be drawn again at any time."""

from collections import Counter
from typing import Any

import dagster as dg
from pydantic import Field

from audiobuff_assets.results import OWNERS, TAGS, key, materialized
from resources.code_version import code_version
from resources.partitions import SHARDS
from resources.storage import Storage


class DamageConfig(dg.Config):
    """What damage training sees."""

    recipe: str = Field(
        default="demo",
        description="`demo`, `seed`, `audiobuff`, kinds such as `hum+eq:tilt`, or the path of a TOML file.",
    )
    variants: int = Field(default=2, ge=1, le=64, description="Damaged versions of each track.")
    seed: int = Field(default=1337, description="Changes every draw.")


@dg.asset(
    key=key("degradation/plan"),
    group_name="degradation",
    deps=[key("audio/pristine")],
    partitions_def=SHARDS,
    kinds={"python", "json"},
    code_version=code_version("audiobuff_core.data.damage"),
    owners=OWNERS,
    tags=TAGS,
)
def plan(context: dg.AssetExecutionContext, config: DamageConfig, storage: Storage) -> dg.MaterializeResult[Any]:
    """The parameter table: which faults each track gets, with every number that makes them.

    **One partition** is a shard. A row is a pure function of the seed, the audio's hash, the variant and the recipe.

    **Bytes**: `degradation/plan/<shard>.json`.

    **Guarded by** `parameters_in_range` (blocks): every row can be drawn again and all its numbers are finite.
    """
    from audiobuff_core.data.damage import plan_shard

    made = plan_shard(
        storage.url, context.partition_key, recipe=config.recipe, variants=config.variants, seed=config.seed
    )
    kinds = Counter(fault.kind for row in made.rows for fault in row.faults)
    table = "\n".join(
        ["| fault | rows |", "|---|---|", *(f"| {kind} | {count} |" for kind, count in sorted(kinds.items()))]
    )
    return materialized(
        context,
        made,
        options=config.model_dump(),
        metadata={"rows": len(made.rows), "faults": dg.MetadataValue.md(table)},
    )


@dg.asset(
    key=key("audio/degraded"),
    group_name="degradation",
    deps=[key("audio/pristine"), key("degradation/plan")],
    partitions_def=SHARDS,
    pool="audio_io",
    kinds={"python", "file"},
    code_version=code_version("audiobuff_core.data.damage"),
    owners=OWNERS,
    tags=TAGS,
)
def degraded(context: dg.AssetExecutionContext, storage: Storage) -> dg.MaterializeResult[Any]:
    """Training and validation tracks with the planned damage, sample for sample as long as the clean ones.

    **One partition** is a shard. Held-out tracks are not in it: only evaluation damages those.

    **Bytes**: `audio/degraded/<shard>/<track>.v<k>.wav` (32-bit float: nothing clips twice) and `manifest.json`.

    **Guarded by** `aligned_with_pristine` (blocks) and `damage_within_spec`.
    """
    from audiobuff_assets.pictures import spectrograms
    from audiobuff_core.data.damage import degrade_shard

    made = degrade_shard(storage.url, context.partition_key)
    metadata: dict[str, Any] = {"damaged_tracks": len(made.items)}
    if made.items:
        metadata["spectrograms"] = spectrograms({"clean": made.items[0].clean_path, "damaged": made.items[0].path})
    return materialized(context, made, options={}, metadata=metadata)
