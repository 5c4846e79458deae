import os
import subprocess
import sys

import dagster as dg
import psutil
import pytest
from dagster._core.storage import partition_status_cache as status

from audiobuff_core.errors import OutputNotWritable
from resources.instance import fail_dead_runs, open_instance, prepare_home, process_tags
from resources.partition_status import count_every_partition


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("AUDIOBUFF_ROOT", "")
    return prepare_home(tmp_path / "home")


@dg.op(pool="gpu")
def work() -> None:
    pass


@dg.job(executor_def=dg.in_process_executor)
def a_job() -> None:
    work()


def started(instance, tags):
    run = instance.create_run_for_job(a_job, tags=tags)
    instance.handle_new_event(_start_event(run))
    return instance.get_run_by_id(run.run_id)


def _start_event(run):
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name)
    return dg.EventLogEntry(None, 10, "", run.run_id, 0.0, job_name=run.job_name, dagster_event=event)


def test_the_home_persists_and_has_our_settings(home):
    assert os.environ["DAGSTER_HOME"] == str(home)
    assert os.environ["AUDIOBUFF_ROOT"] == str(home / "data")
    with open_instance(home) as instance:
        instance.add_dynamic_partitions("shards", ["a"])
        assert not instance.telemetry_enabled
        assert instance.get_concurrency_config().pool_config.default_pool_limit == 1
    with open_instance(home) as instance:
        assert instance.get_dynamic_partitions("shards") == ["a"]


def test_a_place_that_can_not_be_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable, match="Can't write"):
        prepare_home(tmp_path / "file" / "home")


def test_a_run_of_a_killed_process_is_failed_and_its_slot_freed(home):
    dead = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    tag = {"audiobuff/process": f"{dead.pid}@{psutil.Process(dead.pid).create_time():.2f}"}
    dead.kill()
    dead.wait()
    with open_instance(home) as instance:
        run = started(instance, tag)
        assert run.status == dg.DagsterRunStatus.STARTED
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default("gpu")
        assert storage.claim_concurrency_slot("gpu", run.run_id, "work").is_claimed
        assert not storage.claim_concurrency_slot("gpu", "another", "work").is_claimed

        assert fail_dead_runs(instance) == [run.run_id]

        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
        assert storage.get_concurrency_info("gpu").active_slot_count == 0
        assert fail_dead_runs(instance) == []


def test_a_run_of_a_living_process_is_left_alone(home):
    with open_instance(home) as instance:
        run = started(instance, process_tags())
        assert fail_dead_runs(instance) == []
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTED


def test_a_process_id_used_again_by_another_process_is_not_taken_for_the_old_one(home):
    with open_instance(home) as instance:
        run = started(instance, {"audiobuff/process": f"{os.getpid()}@1.00"})
        assert fail_dead_runs(instance) == [run.run_id]


def test_a_partition_made_while_dagster_counts_them_is_counted(place, monkeypatch):
    asset, partitions = dg.AssetKey("made"), dg.StaticPartitionsDefinition(["first", "meanwhile", "last"])

    def make(partition):
        place.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition))
        return place.instance.get_asset_records([asset])[0].asset_entry.last_materialization_storage_id

    def planned_after_one_was_made(instance, asset_key, asset_record):
        return make("meanwhile") + 1

    def counted():
        made = status.get_and_update_asset_status_cache_value(place.instance, asset, partitions)
        return set(made.deserialize_materialized_partition_subsets(partitions).get_partition_keys())

    monkeypatch.setattr(status, "_build_status_cache", status._build_status_cache)  # put back afterwards
    count_every_partition()
    make("first")
    assert counted() == {"first"}
    with monkeypatch.context() as patch:
        patch.setattr(status, "get_last_planned_storage_id", planned_after_one_was_made)
        counted()
    make("last")
    assert counted() == {"first", "meanwhile", "last"}
