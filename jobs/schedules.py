"""What Dagster does by the clock."""

import datetime as dt
from collections.abc import Sequence

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from jobs.jobs import audit_audio, train_restoration_model
from resources.automation import retraining_times, schedule_status
from resources.currency import LATENTS, data_versions, latents_digest, latest_record, recorded

CHECKPOINT = dg.AssetKey(["model", "dit_checkpoint"])
AUDITED_A_NIGHT = 16


@dg.schedule(
    job=train_restoration_model,
    cron_schedule=retraining_times(),
    default_status=schedule_status(),
    description=(
        "Train on Sundays at 02:00 UTC (AUDIOBUFF_RETRAINING), if the data changed since the last checkpoint.\n\n"
        "It compares the latents of all shards with those that the last checkpoint learned from. `start_from` of "
        "`model/dit_checkpoint` (AUDIOBUFF_START_FROM) says whether training begins with the champion."
    ),
)
def weekly_retraining(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """A training, or why there is none."""
    now = latents_digest(context.instance)
    if now is None:
        return dg.SkipReason("No shard has all three latents yet: there is nothing to train on.")
    learned = recorded(context.instance, CHECKPOINT, None, LATENTS)
    if learned == now:
        record = latest_record(context.instance, CHECKPOINT, None)
        assert record is not None
        day = dt.datetime.fromtimestamp(record.timestamp, dt.UTC).date()
        return dg.SkipReason(f"No data changed since the last checkpoint of {day} (latents {now[:12]}).")
    under_way = dg.RunsFilter(job_name=train_restoration_model.name, statuses=NOT_FINISHED_STATUSES)
    for run in context.instance.get_runs(under_way, limit=1):
        return dg.SkipReason(f"A training is under way: run {run.run_id}.")
    return dg.RunRequest(run_key=f"{now}@{context.scheduled_execution_time.date()}", tags={"audiobuff/train": "1"})


@dg.schedule(
    job=audit_audio,
    cron_schedule="0 3 * * *",
    default_status=schedule_status(),
    description=(
        f"Check the audio of {AUDITED_A_NIGHT} shards again every night at 03:00, all in turn.\n\n"
        "Bytes rot and buckets are tidied up: what is gone or changed is found before a training is."
    ),
)
def nightly_audit(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """A run for each shard whose turn it is."""
    made = sorted(data_versions(context.instance, dg.AssetKey(["audio", "degraded"])))
    if not made:
        return dg.SkipReason("No shard has audio yet.")
    day = context.scheduled_execution_time.date()
    # A job of checks alone has no partitions to Dagster, and its steps go by this tag.
    return [dg.RunRequest(run_key=f"{shard}@{day}", tags={"dagster/partition": shard}) for shard in turn_of(made, day)]


def turn_of(shards: Sequence[str], day: dt.date) -> list[str]:
    """The shards whose turn it is on `day`: all, in turn, a fixed number a night."""
    nights = max(1, -(-len(shards) // AUDITED_A_NIGHT))
    return list(shards[day.toordinal() % nights :: nights])
