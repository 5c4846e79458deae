"""Group `ingest`: recordings come in and are decoded, resampled and measured."""

from statistics import fmean
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from audiobuff_assets.columns import INCOMING, PRISTINE, columns
from audiobuff_assets.results import OWNERS, TAGS, key, materialized
from resources.automation import when_inputs_change
from resources.code_version import code_version
from resources.partitions import SHARDS
from resources.retries import RETRIES, retried
from resources.storage import Storage

if TYPE_CHECKING:
    from audiobuff_core.data.pristine import PristineShard

incoming = dg.AssetSpec(
    key("audio/incoming"),
    metadata=columns(INCOMING),
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
    """How recordings are decoded, and which are good enough to learn from."""

    sample_rate: int = Field(default=44_100, description="Rate in Hz that everything is resampled to.")
    shortest_seconds: float = Field(default=0.25, description="Shorter recordings are put aside.")
    silent_peak: float = Field(default=1e-4, description="Recordings with a lower peak (of 1) are put aside.")
    most_clipped_share: float = Field(default=0.01, description="Those with more samples in flat tops are put aside.")
    narrowest_hz: float = Field(default=3_500.0, description="Those whose band was cut off below are put aside.")
    allow_upsampled: bool = Field(
        default=False, description="Whether a file may claim at least twice the rate that it was made at."
    )


@dg.asset(
    key=key("audio/pristine"),
    metadata=columns(PRISTINE),
    group_name="ingest",
    deps=[incoming],
    partitions_def=SHARDS,
    pool="audio_io",
    kinds={"python", "file"},
    code_version=code_version("audiobuff_core.data.ingest"),
    owners=OWNERS,
    tags=TAGS,
    automation_condition=when_inputs_change(),
    retry_policy=RETRIES,
)
@retried
def pristine(context: dg.AssetExecutionContext, config: IngestConfig, storage: Storage) -> dg.MaterializeResult[Any]:
    """Recordings decoded, mixed to mono, resampled and measured; those over three minutes in parts.

    **One partition** is a shard. A file that can't be read whole, or that a quality gate refuses (too short, silent,
    opposite channels, clipped, narrow band, upsampled, not finite), is quarantined with its reason and does not fail
    the others. What has full rate and a narrow band is learned from below its edge only. The side of the split is
    decided by content; copies in another format or at another level follow the first.

    **Bytes**: `audio/pristine/<shard>/<track>.flac`, and `manifest.json` with rate, duration, bandwidth, loudness,
    true peak, clipped share, noise floor, silence, offset and stereo width of each, and the quarantine.

    **Guarded by** `decodes_and_is_finite` and `format_is_uniform` (both block), `not_clipped`, `bandwidth_is_full`.
    """
    from audiobuff_assets.shard_tables import put_aside, worst_tracks
    from audiobuff_core.data.ingest import QualityGates, ingest_shard
    from audiobuff_core.data.library import load_shard

    shard = load_shard(storage.url, context.partition_key)
    options = config.model_dump()
    gates = QualityGates(**{name: value for name, value in options.items() if name != "sample_rate"})
    made = ingest_shard(storage.url, shard, sample_rate=config.sample_rate, gates=gates)
    return materialized(
        context,
        made,
        options=options,
        metadata={
            "tracks": len(made.tracks),
            "quarantined": len(made.quarantined),
            "audio_seconds": float(sum(track.duration_seconds for track in made.tracks)),
            "loudness_lufs": fmean([track.loudness_lufs or -70.0 for track in made.tracks] or [-70.0]),
            "copies": sum(incoming.copy_of is not None for incoming in shard.tracks),
            "worst_tracks": worst_tracks(made.tracks),
            "quarantine": put_aside(made.quarantined),
            **_picture(made),
        },
    )


def _picture(made: "PristineShard") -> dict[str, dg.MarkdownMetadataValue]:
    """Histograms of the shard and the spectrogram of its worst track; nothing where there is no track."""
    from audiobuff_assets.pictures import shard_picture
    from audiobuff_assets.shard_tables import badness

    if not made.tracks:
        return {}
    measures = [track.measures for track in made.tracks]
    histograms = {
        "seconds": [one.duration_seconds for one in measures],
        "bandwidth, kHz": [one.bandwidth_hz / 1000.0 for one in measures],
        "loudness, LUFS": [one.loudness_lufs for one in measures if one.loudness_lufs is not None],
        "noise floor, dBFS": [one.noise_floor_db for one in measures if one.noise_floor_db is not None],
        "silence, %": [100.0 * one.silence_share for one in measures],
    }
    worst = max(made.tracks, key=badness)
    return {"picture": shard_picture(histograms, {f"worst: {worst.track_id[:32]}": worst.path})}
