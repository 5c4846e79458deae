"""Runs in forked processes: executed, cancelled, and ended with the daemon."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.execution.plan import instance_concurrency_context as pools
from dagster._core.launcher.base import LaunchRunContext, WorkerStatus
from warm_jobs import blocked_job, quick_job, slow_job

from resources.pool_slots import FIRST_WAIT_SECONDS, sleep_while_blocked
from resources.process_marks import PROCESS_TAG, living_process, mark_of

# Processes are started and waited for: too long for the fast tests. `.ci/run` runs these too.
pytestmark = pytest.mark.slow

LAUNCHER = {"module": "resources.warm_launcher", "class": "WarmRunLauncher", "config": {"preload": ["dagster"]}}


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("instance"))
    # Dagster looks for a job's module where it was launched.
    with (
        contextlib.chdir(Path(__file__).parent),
        dg.instance_for_test(temp_dir=folder, overrides={"run_launcher": LAUNCHER}) as made,
    ):
        yield made


def launched(instance, job):
    run = instance.create_run_for_job(job, job_code_origin=dg.reconstructable(job).get_python_origin())
    instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
    return run.run_id


def wait_for(instance, run_id, *statuses, seconds=600):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        run = instance.get_run_by_id(run_id)
        if run.status.value in statuses:
            return run
        time.sleep(0.1)
    raise AssertionError(f"{run.status} after {seconds} s, expected {statuses}")


def started(instance, run_id):
    wait_for(instance, run_id, "STARTED")
    while not [one for one in instance.all_logs(run_id) if one.dagster_event_type == dg.DagsterEventType.STEP_START]:
        time.sleep(0.1)
    return living_process(instance.get_run_by_id(run_id).tags[PROCESS_TAG])


def test_a_run_is_executed_in_a_process_of_its_own(instance):
    run = wait_for(instance, launched(instance, quick_job), "SUCCESS", "FAILURE")
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert not instance.run_launcher.terminate(run.run_id)


def test_a_terminated_run_is_cancelled_and_its_process_gone(instance):
    run_id = launched(instance, slow_job)
    pid = started(instance, run_id)
    assert instance.run_launcher.check_run_worker_health(instance.get_run_by_id(run_id)).status == WorkerStatus.RUNNING
    assert instance.run_launcher.terminate(run_id)
    wait_for(instance, run_id, "CANCELED")
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=20)
    assert living_process(instance.get_run_by_id(run_id).tags[PROCESS_TAG]) is None


def test_a_run_that_waits_for_a_slot_can_be_cancelled(instance):
    instance.event_log_storage.set_concurrency_slots("never_free", 0)
    run_id = launched(instance, blocked_job)
    deadline = time.monotonic() + 60
    while not any("blocked by" in one.message for one in instance.all_logs(run_id)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert instance.run_launcher.terminate(run_id)
    assert wait_for(instance, run_id, "CANCELED", "FAILURE", seconds=60).status == dg.DagsterRunStatus.CANCELED


def test_a_run_that_was_cancelled_before_it_began_does_not_begin(instance):
    run = instance.create_run_for_job(slow_job, job_code_origin=dg.reconstructable(slow_job).get_python_origin())
    assert instance.run_launcher.terminate(run.run_id)  # no process has named itself yet
    instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
    assert wait_for(instance, run.run_id, "CANCELED", "FAILURE").status == dg.DagsterRunStatus.CANCELED
    assert not [
        one for one in instance.all_logs(run.run_id) if one.dagster_event_type == dg.DagsterEventType.STEP_START
    ]


def test_a_killed_run_is_known_to_be_dead(instance):
    run_id = launched(instance, slow_job)
    psutil.Process(started(instance, run_id)).kill()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        health = instance.run_launcher.check_run_worker_health(instance.get_run_by_id(run_id))
        if health.status == WorkerStatus.FAILED:
            break
        time.sleep(0.1)
    assert health.status == WorkerStatus.FAILED


def test_a_run_ends_with_the_daemon_that_launched_it(instance):
    run = instance.create_run_for_job(slow_job, job_code_origin=dg.reconstructable(slow_job).get_python_origin())
    daemon = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    code = (
        "import sys; from dagster import DagsterInstance; from resources.warm_launcher import execute_run\n"
        "from dagster._serdes import deserialize_value\n"
        "execute_run(deserialize_value(sys.argv[1]), sys.argv[2], sys.argv[3])"
    )
    from dagster._serdes import serialize_value

    arguments = [serialize_value(instance.get_ref()), run.run_id, mark_of(daemon.pid)]
    worker = subprocess.Popen([sys.executable, "-c", code, *arguments], start_new_session=False)
    wait_for(instance, run.run_id, "STARTED")
    assert worker.poll() is None
    daemon.kill()
    daemon.wait()
    assert worker.wait(60) == 1
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTED  # Dagster finds it dead


def test_a_run_that_waits_for_a_slot_sleeps_until_it_asks_again(place, monkeypatch):
    class Pools(pools.InstanceConcurrencyContext):
        """Of which what is put in place is forgotten afterwards."""

    monkeypatch.setattr(pools, "InstanceConcurrencyContext", Pools)
    monkeypatch.setattr("resources.pool_slots.InstanceConcurrencyContext", Pools)
    monkeypatch.setattr(pools, "INITIAL_INTERVAL_VALUE", pools.INITIAL_INTERVAL_VALUE)
    sleep_while_blocked()
    place.instance.event_log_storage.set_concurrency_slots("gpu", 1)
    runs = [place.instance.create_run_for_job(quick_job) for _ in range(2)]
    with Pools(place.instance, runs[0]) as first, Pools(place.instance, runs[1]) as second:
        assert first.claim("gpu", "a step")
        assert first.interval_to_next_pending_claim_check() == 0.0
        assert not second.claim("gpu", "a step")
        assert 0.0 < second.interval_to_next_pending_claim_check() <= FIRST_WAIT_SECONDS
        first.free_step("a step")
        time.sleep(FIRST_WAIT_SECONDS)
        assert second.claim("gpu", "a step")
