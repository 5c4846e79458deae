"""Sensors: what Dagster does by itself."""

import os
from pathlib import Path

import dagster as dg

from audiobuff_core.errors import AudioBuffError
from jobs.registration import find_arrivals
from resources.partitions import INBOX_FILES, SHARDS
from resources.storage import Storage

INCOMING_VARIABLE = "AUDIOBUFF_INCOMING"


def register_new_audio(bundled: Path) -> dg.SensorDefinition:
    """The sensor that watches the folder or URL AUDIOBUFF_INCOMING, or the `bundled` corpus where that is not set."""

    @dg.sensor(
        name="register_new_audio",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Find new recordings and files in the inbox, and add their partitions.\n\n"
            f"It watches the folder or fsspec URL named by {INCOMING_VARIABLE}, or the bundled corpus where that is "
            "not set. It launches nothing. It is the one sensor that runs by default: without it a first look would "
            "show no partitions at all."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext, storage: Storage) -> dg.SensorResult | dg.SkipReason:
        watched = os.environ.get(INCOMING_VARIABLE, "")
        folder = watched or str(bundled)
        try:
            arrivals = find_arrivals(context.instance, storage.url, folder, bundled=not watched)
        except AudioBuffError as error:
            return dg.SkipReason(str(error))
        if not arrivals:
            return dg.SkipReason(f"No new recording in {folder}, and none in the inbox.")
        return dg.SensorResult(
            asset_events=list(arrivals.events),
            dynamic_partitions_requests=[
                partitions.build_add_request(list(keys))
                for partitions, keys in ((SHARDS, arrivals.shards), (INBOX_FILES, arrivals.inbox_files))
                if keys
            ],
        )

    return sensor
