"""A persistent Dagster instance in a folder, and the clearing of runs whose process is gone."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import psutil

from audiobuff_core.errors import OutputNotWritable
from audiobuff_core.files import write_bytes
from resources.partition_status import count_every_partition
from resources.process_marks import PROCESS_TAG, living_process, mark_of
from resources.sqlite_files import commit_without_waiting, held_open, keep_engines
from resources.storage import ROOT_VARIABLE

HOME_VARIABLE = "DAGSTER_HOME"
DEFAULT_HOME = ".dagster"

SETTINGS: dict[str, Any] = {
    "run_launcher": {
        "module": "resources.warm_launcher",
        "class": "WarmRunLauncher",
        "config": {"preload": ["audiobuff_assets.warm"]},
    },
    "run_coordinator": {
        "module": "dagster._core.run_coordinator",
        "class": "QueuedRunCoordinator",
        "config": {"dequeue_interval_seconds": 1},
    },
    "telemetry": {"enabled": False},
    "nux": {"enabled": False},
    "concurrency": {
        "pools": {"default_limit": 1, "op_granularity_run_buffer": 2},
        "runs": {"tag_concurrency_limits": [{"key": "audiobuff/train", "limit": 1}]},
    },
    "run_monitoring": {
        "enabled": True,
        "poll_interval_seconds": 5,
        "free_slots_after_run_end_seconds": 5,
        "start_timeout_seconds": 300,
        "cancel_timeout_seconds": 180,
    },
    "run_retries": {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False},
    "retention": {
        "sensor": {"purge_after_days": {"skipped": 2, "failure": 30, "success": 30}},
        "schedule": {"purge_after_days": 90},
        "auto_materialize": {"purge_after_days": {"skipped": 2, "failure": 30, "success": 30}},
    },
}
"""What `dagster.yaml` says besides where things lie; a test holds the two together."""

_QUIET_LOGS = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def prepare_home(home: Path, *, root: str | None = None) -> Path:
    """Make `home` a Dagster home with our settings; returns its absolute path.

    Sets DAGSTER_HOME and AUDIOBUFF_ROOT (`root`, or `home`/data) for this process and its children.

    Raises:
        OutputNotWritable: the folder can't be made or written.
    """
    home = home.absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass  # it can be written, or nothing is begun
    except OSError as error:
        raise OutputNotWritable(f"Can't write {home}: {error.strerror or error}. Choose another place.") from error
    text = json.dumps(SETTINGS, indent=1) + "\n"  # JSON is YAML
    settings = home / "dagster.yaml"
    if not settings.is_file() or settings.read_text(encoding="utf-8") != text:
        write_bytes(settings, text.encode())
    os.environ[HOME_VARIABLE] = str(home)
    os.environ[ROOT_VARIABLE] = root or str(home / "data")
    return home


@contextmanager
def open_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of a prepared `home`, for runs in this process: what steps print stays on the terminal."""
    from dagster._core.instance.ref import InstanceRef

    commit_without_waiting()
    keep_engines()
    count_every_partition()
    reference = InstanceRef.from_dir(str(home), overrides={"compute_logs": _QUIET_LOGS})
    with dg.DagsterInstance.from_ref(reference) as instance, held_open(instance):
        yield instance


def process_tags() -> dict[str, str]:
    """Tags that say which process executes a run."""
    return {PROCESS_TAG: mark_of(os.getpid())}


def fail_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Report runs whose process is gone as failed, and free their pool slots; returns their ids.

    A process that was killed can't do this itself, and its slots would block every later run.
    """
    dead = [
        run for run in instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED)) if not _may_live(instance, run)
    ]
    for run in dead:
        instance.report_run_failed(run, "Its process is gone: it was killed or the machine was restarted.")
    finished = {run.run_id for run in dead}
    for pool in instance.event_log_storage.get_concurrency_keys():
        for slot in instance.event_log_storage.get_concurrency_info(pool).claimed_slots:
            holder = instance.get_run_by_id(slot.run_id)
            if holder is None or holder.is_finished:
                finished.add(slot.run_id)
    for run_id in finished:
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return [run.run_id for run in dead]


def _may_live(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the process of `run` exists, or is unknown."""
    if (mark := run.tags.get(PROCESS_TAG)) is not None:
        return living_process(mark) is not None
    pids = set()
    for record in instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT).records:
        if found := re.search(r"\(pid: (\d+)\)", record.event_log_entry.user_message or record.event_log_entry.message):
            pids.add((int(found[1]), record.timestamp))
    if not pids:
        return True
    # A process that is younger than the event is another one under a reused id.
    return any(psutil.pid_exists(pid) and psutil.Process(pid).create_time() <= moment for pid, moment in pids)
