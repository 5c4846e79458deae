"""Group `ingest`: recordings come in and are decoded, resampled and measured."""

from statistics import fmean
from typing import Any

import dagster as dg
from pydantic import Field

from audiobuff_assets.results import OWNERS, TAGS, key, materialized
from resources.code_version import code_version
from resources.partitions import SHARDS
from resources.storage import Storage

incoming = dg.AssetSpec(
    key("audio/incoming"),
    group_name="ingest",
    partitions_def=SHARDS,
    kinds={"file"},
    description=(
        "Recordings as they arrived. **One partition** is a shard: a manifest of up to 32 files, by path and content "
        "hash.\n\n**Bytes**: the files stay where they are; the manifest is `incoming/<shard>.json`.\n\n"
        "Nothing runs here: the sensor `register_new_audio` finds files and adds the partitions."
    ),
    owners=OWNERS,
    tags=TAGS,
)


class IngestConfig(dg.Config):
    """How recordings are decoded."""

    sample_rate: int = Field(default=44_100, description="Rate in Hz that everything is resampled to.")


@dg.asset(
    key=key("audio/pristine"),
    group_name="ingest",
    deps=[incoming],
    partitions_def=SHARDS,
    pool="audio_io",
    kinds={"python", "file"},
    code_version=code_version("audiobuff_core.data.ingest"),
    owners=OWNERS,
    tags=TAGS,
)
def pristine(context: dg.AssetExecutionContext, config: IngestConfig, storage: Storage) -> dg.MaterializeResult[Any]:
    """Recordings decoded, mixed to mono, resampled and measured.

    **One partition** is a shard. A file that can't be decoded, is silent or too short is quarantined with its reason
    and does not fail the others.

    **Bytes**: `audio/pristine/<shard>/<track>.flac`, and `manifest.json` with duration, loudness, peak, bandwidth,
    clipped share and the split (by content hash, so a track never changes sides).

    **Guarded by** `decodes_and_is_finite` and `format_is_uniform` (both block), `not_clipped`, `bandwidth_is_full`.
    """
    from audiobuff_core.data.ingest import ingest_shard
    from audiobuff_core.data.library import load_shard

    shard = load_shard(storage.url, context.partition_key)
    made = ingest_shard(storage.url, shard, sample_rate=config.sample_rate)
    return materialized(
        context,
        made,
        options=config.model_dump(),
        metadata={
            "tracks": len(made.tracks),
            "quarantined": len(made.quarantined),
            "audio_seconds": float(sum(track.duration_seconds for track in made.tracks)),
            "loudness_lufs": fmean([track.loudness_lufs or -70.0 for track in made.tracks] or [-70.0]),
        },
    )
