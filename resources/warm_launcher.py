"""Runs that start in a moment: forked from a process that has imported everything, instead of importing it again.

Importing Dagster, the definitions and torch takes seconds, more than most steps of a small shard. Configured in
`dagster.yaml`; where processes can't be forked safely (macOS) they are started anew.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from multiprocessing.context import BaseContext
from typing import Any, Self, cast

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from resources.partition_status import count_every_partition
from resources.pool_slots import sleep_while_blocked
from resources.process_marks import PROCESS_TAG, living_process, mark_of
from resources.process_tree import descendants, end_tree
from resources.sqlite_files import commit_without_waiting, held_open, keep_engines

LOOK_SECONDS = 2.0


class WarmRunLauncher(RunLauncher[Any], ConfigurableClass):
    """Starts each run in a process of its own on this machine.

    Attributes:
        preload: modules that the process which forks has imported.
    """

    def __init__(self, preload: list[str], inst_data: ConfigurableClassData | None = None) -> None:
        """Nothing is started until the first run is."""
        self.preload = preload
        self._inst_data = inst_data
        self._forking: BaseContext | None = None
        self._held = ExitStack()
        commit_without_waiting()
        keep_engines()
        count_every_partition()
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """What Dagster made this from."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """The options in `dagster.yaml`."""
        return {"preload": dg.Field([str], default_value=[], description="Modules to import before the first run.")}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Made by Dagster."""
        return cls(inst_data=inst_data, preload=list(config_value["preload"]))

    def launch_run(self, context: LaunchRunContext) -> None:
        """Fork a process that executes the run."""
        if self._forking is None:
            self._held.enter_context(held_open(self._instance))
        run_id = context.dagster_run.run_id
        process = cast(Any, self._context()).Process(
            target=execute_run,
            args=(self._instance.get_ref(), run_id, mark_of(os.getpid())),
            name=f"run {run_id[:8]}",
        )
        process.start()

    def terminate(self, run_id: str) -> bool:
        """Interrupt the process of the run, as Ctrl-C would; whether there was anything to cancel."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        # Looked up after the report: a process that names itself later sees that it is to be cancelled.
        run = self._instance.get_run_by_id(run_id)
        mark = None if run is None else run.tags.get(PROCESS_TAG)
        if mark is not None:
            pid = living_process(mark)
            if pid is None:
                settle(self._instance, run_id)
            else:
                os.kill(pid, signal.SIGINT)
        return True

    def dispose(self) -> None:
        """Let the files of the instance go."""
        self._held.close()

    @property
    def supports_check_run_worker_health(self) -> bool:
        """It does: a run whose process was killed is failed by the daemon, and started once more."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of the run lives."""
        mark = run.tags.get(PROCESS_TAG)
        if mark is None:
            return CheckRunHealthResult(WorkerStatus.UNKNOWN, "no process is known yet")
        if living_process(mark) is None:
            return CheckRunHealthResult(WorkerStatus.FAILED, "its process is gone: it was killed, or memory was short")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def _context(self) -> BaseContext:
        if self._forking is None:
            can_fork = sys.platform == "linux"
            self._forking = multiprocessing.get_context("forkserver" if can_fork else "spawn")
            if can_fork:
                self._forking.set_forkserver_preload(self.preload)
        return self._forking


def execute_run(reference: InstanceRef, run_id: str, launched_by: str) -> None:
    """Execute a run of the instance in this process, and end when the process `launched_by` (the daemon) is gone."""
    from dagster._cli.api import _execute_run_command_body

    threading.Thread(target=_end_with, args=(launched_by,), daemon=True).start()

    os.setsid()  # Ctrl-C in the terminal of the daemon is the daemon's
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    commit_without_waiting()
    keep_engines(connected=True)
    count_every_partition()
    sleep_while_blocked()
    with dg.DagsterInstance.from_ref(reference) as instance, held_open(instance, run_id):
        try:
            # From here on `terminate` finds it; what was cancelled before does not begin.
            instance.add_run_tags(run_id, {PROCESS_TAG: mark_of(os.getpid())})
            if not _is_cancelled(instance, run_id):
                _execute_run_command_body(run_id, instance, lambda event: None, set_exit_code_on_failure=True)
        except KeyboardInterrupt:
            pass  # at a moment when Dagster did not listen; told below
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            settle(instance, run_id)


def settle(instance: dg.DagsterInstance, run_id: str) -> None:
    """Leave nothing of a run whose process is over: no slot of a pool, and no cancelling without an end.

    Dagster itself keeps the slot of an interrupted step until its daemon clears up, and a run that was cancelled before
    it began until the time limit.
    """
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    run = instance.get_run_by_id(run_id)
    if run is not None and run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run)


def _is_cancelled(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is None or run.status == dg.DagsterRunStatus.CANCELING


def _end_with(mark: str) -> None:
    """End this process once that which `mark` names is gone: nobody would show, limit or cancel the run any more.

    What it started saves first. The run is found dead when Dagster is back, and started once more.
    """
    while living_process(mark) is not None:
        time.sleep(LOOK_SECONDS)
    for process in descendants(os.getpid())[:-1]:
        end_tree(process.pid)
    os._exit(1)
