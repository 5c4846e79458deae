"""The sensors that follow recordings: those that arrive, and everything that is made of them up to latents."""

import os
from pathlib import Path

import dagster as dg

from audiobuff_core.errors import AudioBuffError
from audiobuff_core.seeding import digest
from jobs.registration import Arrivals, find_arrivals, vanished_events
from resources.automation import (
    INCOMING_VARIABLE,
    TRACKS_PER_SHARD,
    sensor_status,
    settle_seconds,
    tick_seconds,
    tracks_per_shard,
)
from resources.storage import Storage


def register_new_audio(bundled: Path) -> dg.SensorDefinition:
    """The sensor that watches the folder or URL AUDIOBUFF_INCOMING, or the `bundled` corpus where that is not set."""

    @dg.sensor(
        name="register_new_audio",
        minimum_interval_seconds=tick_seconds(30),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Find new and changed recordings, and files in the inbox, and add their partitions.\n\n"
            f"It watches the folder or fsspec URL named by {INCOMING_VARIABLE}, or the bundled corpus where that is "
            "not set. Files that are still being written wait; a large library comes in several ticks; recordings "
            "that vanished are reported on their shard of `audio/incoming`. It launches nothing. It is the one sensor "
            "that runs by default: without it a first look would show no partitions at all."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext, storage: Storage) -> dg.SensorResult | dg.SkipReason:
        watched = os.environ.get(INCOMING_VARIABLE, "")
        folder = watched or str(bundled)
        settling = settle_seconds() if watched else 0.0
        try:
            arrivals = find_arrivals(
                context.instance,
                storage.url,
                folder,
                bundled=not watched,
                tracks_per_shard=tracks_per_shard() if watched else TRACKS_PER_SHARD,
                settle_seconds=settling,
            )
        except AudioBuffError as error:
            return dg.SkipReason(str(error))
        gone = digest([track.track_id for track in arrivals.look.vanished])
        observations = vanished_events(arrivals.look) if gone != context.cursor else []
        for event in observations:
            context.log.warning(
                f"Recordings of shard {event.partition} are gone: {event.metadata['vanished_first'].value}"
            )
        said = _said(arrivals, folder)
        if not arrivals and not observations:
            return dg.SensorResult(skip_reason=said, cursor=gone)
        context.log.info(said)
        return dg.SensorResult(
            asset_events=[*arrivals.events, *observations],
            dynamic_partitions_requests=arrivals.partition_requests(),
            cursor=gone,
        )

    return sensor


def _said(arrivals: Arrivals, folder: str) -> str:
    """What a tick found, in a sentence for the browser."""
    look = arrivals.look
    counts = {
        "new shards": len(arrivals.shards),
        "changed shards": len(arrivals.changed),
        "new files in the inbox": len(arrivals.inbox_files),
        "files still being written": look.settling,
        "files left for the next tick": look.left,
        "recordings gone": len(look.vanished),
    }
    found = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{folder}: {found}." if found else f"No new recording in {folder}, and none in the inbox."


keep_latents_current = dg.AutomationConditionSensorDefinition(
    "keep_latents_current",
    target=dg.AssetSelection.assets(
        *(
            dg.AssetKey.from_user_string(name)
            for name in (
                "audio/pristine",
                "degradation/plan",
                "audio/degraded",
                "latents/target",
                "latents/structure",
                "latents/semantic",
                "evaluation/degraded",
            )
        )
    ),
    default_status=sensor_status(),
    minimum_interval_seconds=tick_seconds(30),
    description=(
        "Make what new and changed recordings need, up to latents and held-out clips.\n\n"
        "Each asset says when (its automation condition): it is missing, or the data version of an input changed, "
        "not merely its date. All shards of a tick are one backfill. What failed is left to a person; "
        "`report_failed_runs` tells."
    ),
)
