"""The inbox: a damaged file that is dropped there is repaired, once."""

from itertools import islice

import dagster as dg

from audiobuff_core.files import exists, join
from jobs.jobs import restore_inbox
from jobs.registration import find_dropped
from resources.automation import sensor_status, settle_seconds, tick_seconds
from resources.inbox import inbox_files, inbox_place
from resources.partitions import INBOX_FILES
from resources.storage import Storage

MAX_FILES_A_TICK = 50
RESTORED = dg.AssetKey(["restoration", "restored"])


@dg.sensor(
    job=restore_inbox,
    minimum_interval_seconds=tick_seconds(30),
    default_status=sensor_status(),
    description=(
        "Repair every file that is dropped into the inbox, with the champion.\n\n"
        "The inbox is `inbox/` under the data root, or the folder or URL AUDIOBUFF_INBOX. A repaired file appears as "
        "`restored/<key>` with its report beside it; what can't be used is moved to `refused/` in the inbox with the "
        "reason. A file is known by its content, so it is repaired once, also after a restart."
    ),
)
def restore_dropped_files(context: dg.SensorEvaluationContext, storage: Storage) -> dg.SensorResult | dg.SkipReason:
    """A run for each file that has none yet."""
    root, instance = storage.url, context.instance
    waiting = inbox_files(root, settle_seconds=settle_seconds())
    done = instance.get_materialized_partitions(RESTORED)
    # The run key, remembered for ever, is what makes it once: a tick that is cut off may ask again.
    unasked = (key for key in waiting if key not in done and not _was_asked(instance, key))
    asked = list(islice(unasked, MAX_FILES_A_TICK))
    if not asked:
        return dg.SkipReason(f"No new file in {inbox_place(root)}.")
    if not exists(join(root, "release", "champion.json")):
        return dg.SkipReason(
            f"{len(waiting)} files wait in {inbox_place(root)}, but there is no champion yet: train, evaluate and "
            "release a checkpoint first."
        )
    new, events = find_dropped(instance, root, settle_seconds=settle_seconds())
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=key, partition_key=key) for key in asked],
        dynamic_partitions_requests=[INBOX_FILES.build_add_request(list(new))] if new else [],
        asset_events=list(events),
    )


def _was_asked(instance: dg.DagsterInstance, key: str) -> bool:
    return instance.get_runs_count(dg.RunsFilter(job_name=restore_inbox.name, tags={"dagster/partition": key})) > 0
