"""Retraining and audits by the clock."""

import datetime as dt

import dagster as dg
from dagster._core.test_utils import create_run_for_test

from jobs.schedules import nightly_audit, turn_of, weekly_retraining
from resources.currency import latents_digest

SUNDAY = dt.datetime(2026, 3, 1, 2, tzinfo=dt.UTC)


def schedule_tick(place, schedule, moment=SUNDAY):
    context = dg.build_schedule_context(
        instance=place.instance, repository_def=place.repository, scheduled_execution_time=moment
    )
    return schedule.evaluate_tick(context)


def test_retraining_is_skipped_when_no_data_changed_and_says_so(place):
    assert "nothing to train on" in schedule_tick(place, weekly_retraining).skip_message
    for stream in ("target", "structure", "semantic"):
        place.event(f"latents/{stream}", "v1", "a shard")
    assert len(schedule_tick(place, weekly_retraining).run_requests) == 1
    place.event("model/dit_checkpoint", "weights", latents=latents_digest(place.instance))
    assert "No data changed since" in schedule_tick(place, weekly_retraining).skip_message
    place.event("latents/target", "v2", "a shard")
    assert len(schedule_tick(place, weekly_retraining).run_requests) == 1


def test_retraining_is_skipped_while_one_is_under_way(place):
    for stream in ("target", "structure", "semantic"):
        place.event(f"latents/{stream}", "v1", "a shard")
    run = create_run_for_test(place.instance, job_name="train_restoration_model", status=dg.DagsterRunStatus.STARTED)
    assert f"under way: run {run.run_id}" in schedule_tick(place, weekly_retraining).skip_message
    place.instance.report_run_failed(run)
    assert len(schedule_tick(place, weekly_retraining).run_requests) == 1


def test_every_shard_is_audited_in_turn(place):
    assert "No shard" in schedule_tick(place, nightly_audit).skip_message
    shards = [f"shard{number:03}" for number in range(40)]
    nights = [turn_of(shards, dt.date(2026, 1, day)) for day in range(1, 4)]
    assert sorted(shard for night in nights for shard in night) == shards
    place.event("audio/degraded", "v1", "a")
    (request,) = schedule_tick(place, nightly_audit).run_requests
    assert request.tags["dagster/partition"] == "a"
