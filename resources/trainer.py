"""torchrun under Dagster Pipes: live metrics, and no process left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg
from dagster import DagsterExecutionInterruptedError, PipesClientCompletedInvocation, open_pipes_session
from pydantic import Field

from audiobuff_core.errors import TrainingFailed
from resources.process_tree import end_tree

SHIM = str(Path(__file__).with_name("die_with_parent.py"))
LAUNCHER = str(Path(__file__).with_name("launch_ranks.py"))
SAVED_AND_STOPPED = 3
"""The exit code of a trainer that was asked to stop and saved a checkpoint."""


class Trainer(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Starts distributed training and ends it, whole, when its run is cancelled."""

    save_seconds: float = Field(
        default=30.0, description="How long a cancelled training may take to save before it is killed."
    )
    stop_seconds: float = Field(default=5.0, description="How long it then may take after SIGTERM.")

    def run(
        self,
        context: dg.AssetExecutionContext,
        *,
        module: str,
        arguments: Sequence[str],
        num_processes: int = 1,
        environment: Mapping[str, str] | None = None,
    ) -> PipesClientCompletedInvocation:
        """Run `python -m module *arguments` on `num_processes` ranks and wait.

        Raises:
            TrainingFailed: it ended with another exit code than 0.
        """
        with open_pipes_session(
            context=context,
            context_injector=dg.PipesEnvContextInjector(),
            message_reader=dg.PipesTempFileMessageReader(),
        ) as session:
            process = subprocess.Popen(
                torchrun_command(module, arguments, num_processes),
                env={**os.environ, **(environment or {}), **session.get_bootstrap_env_vars()},
                # A session of its own: a terminal's Ctrl-C reaches it only through `end_tree`, with time to save.
                start_new_session=True,
            )
            try:
                code = process.wait()
            except (DagsterExecutionInterruptedError, KeyboardInterrupt):
                context.log.info("Cancelled: asking the trainer to save its checkpoint and stop.")
                raise
            finally:
                killed = end_tree(
                    process.pid,
                    grace_seconds=(self.save_seconds, self.stop_seconds, 5.0),
                    interrupts=(KeyboardInterrupt, DagsterExecutionInterruptedError),
                )
                if process.poll() is None:
                    process.wait()
                if killed:
                    context.log.warning(f"Killed {len(killed)} training processes that did not stop when asked.")
            if code != 0:
                raise TrainingFailed(_explain(code))
        return PipesClientCompletedInvocation(session)


def torchrun_command(module: str, arguments: Sequence[str], num_processes: int) -> list[str]:
    """The command line: torchrun and each of its ranks die with their parent."""
    shim = [sys.executable, SHIM]
    # A rendezvous of its own on a free port: two trainings on a machine don't clash.
    rendezvous = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", "--nnodes=1"]
    torchrun = [sys.executable, LAUNCHER, *rendezvous, f"--nproc-per-node={num_processes}"]
    return [*shim, *torchrun, "--no-python", *shim, sys.executable, "-m", module, *arguments]


def _explain(code: int) -> str:
    if code == SAVED_AND_STOPPED:
        return "Training was asked to stop and saved its checkpoint: run it again to go on from there."
    number = -code if code < 0 else code - 128  # torchrun was killed, or a rank was
    if number in set(signal.Signals):
        name = signal.Signals(number).name
        return f"Training was ended by {name}: if memory was short, use fewer processes; run it again to resume."
    return f"Training ended with exit code {code}, expected 0: its own message is above, or in the run's stderr log."
