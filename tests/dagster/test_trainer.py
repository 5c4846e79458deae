import os
import random
import signal
import subprocess
import sys
import time

import dagster as dg
import psutil
import pytest

from audiobuff_core.errors import TrainingFailed
from resources.trainer import Trainer

# Processes are started and waited for: too long for the fast tests. `.ci/run` runs these too.
pytestmark = pytest.mark.slow

REPORTING = """
import os, sys
from dagster_pipes import open_dagster_pipes
if os.environ["RANK"] == "0":
    with open_dagster_pipes() as pipes:
        pipes.report_asset_materialization(
            metadata={"world_size": int(os.environ["WORLD_SIZE"]), "said": sys.argv[1]}, data_version="v1"
        )
"""
SILENT = "pass"
FAILING = "import sys; sys.exit(7)"
# Saves on SIGINT only after a while, as a trainer does, and ignores what else comes; the second rank ignores all.
STUBBORN = """
import os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def save(*_):
    time.sleep(1)
    (folder / "saved").write_text("whole")
signal.signal(signal.SIGINT, save if os.environ["RANK"] == "0" else signal.SIG_IGN)
(folder / f"rank{os.environ['RANK']}.part").write_text(str(os.getpid()))
(folder / f"rank{os.environ['RANK']}.part").rename(folder / f"rank{os.environ['RANK']}")
while True:
    time.sleep(0.1)
"""
RUN = """
import sys
import dagster as dg
from dagster import DagsterExecutionInterruptedError
from resources.trainer import Trainer

@dg.asset(pool="gpu")
def model(context: dg.AssetExecutionContext, trainer: Trainer) -> dg.MaterializeResult:
    return trainer.run(context, module="ranks", arguments=[sys.argv[1]], num_processes=2).get_materialize_result(
        implicit_materialization=False
    )

try:
    with dg.instance_for_test(temp_dir=sys.argv[1]) as instance:
        dg.materialize([model], instance=instance, resources={"trainer": Trainer(save_seconds=2, stop_seconds=0.5)})
except DagsterExecutionInterruptedError:
    sys.exit(130)
"""


@pytest.fixture
def ranks(tmp_path, monkeypatch):
    """Writes the module that every rank runs."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return (tmp_path / "ranks.py").write_text


def materialize(num_processes=1):
    @dg.asset
    def model(context: dg.AssetExecutionContext, trainer: Trainer) -> dg.MaterializeResult:
        return trainer.run(
            context, module="ranks", arguments=["hello"], num_processes=num_processes
        ).get_materialize_result(implicit_materialization=False)

    return dg.materialize([model], resources={"trainer": Trainer()})


def test_rank_0_reports_through_pipes(ranks):
    ranks(REPORTING)
    (event,) = materialize(num_processes=2).get_asset_materialization_events()
    metadata = event.materialization.metadata
    assert metadata["world_size"].value == 2
    assert metadata["said"].value == "hello"
    assert event.materialization.tags["dagster/data_version"] == "v1"


def test_a_trainer_that_reports_nothing_has_not_succeeded(ranks):
    ranks(SILENT)
    with pytest.raises(Exception, match="materialization"):
        materialize()


def test_a_trainer_that_fails_is_one_line(ranks):
    ranks(FAILING)
    with pytest.raises(TrainingFailed, match="exit code 7"):
        materialize()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_cancelled_training_saves_and_leaves_no_process(ranks, tmp_path, number):
    ranks(STUBBORN)
    script = tmp_path / "run.py"
    script.write_text(RUN)
    step = subprocess.Popen([sys.executable, str(script), str(tmp_path)], stderr=subprocess.DEVNULL)
    processes = wait_for_ranks(tmp_path, 2)
    torchrun = processes[0].parent()
    assert torchrun is not None
    step.send_signal(number)
    code = step.wait(60)
    assert wait_for_none([*processes, torchrun]) == []
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    if number != signal.SIGKILL:
        assert (tmp_path / "saved").read_text() == "whole"


@pytest.mark.timeout(1200)
def test_20_cancels_at_random_moments_leave_no_process(ranks, tmp_path):
    ranks(STUBBORN)
    (tmp_path / "run.py").write_text(RUN)
    draw = random.Random(7)
    for number in range(20):
        folder = tmp_path / f"cancel{number}"
        folder.mkdir()
        said = folder / "stderr"
        with said.open("w") as written:
            step = subprocess.Popen([sys.executable, str(tmp_path / "run.py"), str(folder)], stderr=written)
        try:
            if number % 2:  # the ranks are at work; else they are not yet, or are just being started
                wait_for_ranks(folder, 2, step=step, said=said)
            time.sleep(draw.uniform(0, 3))
            step.send_signal(draw.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL]))
            step.wait(60)
        finally:
            step.kill()
            step.wait()
        assert wait_for_none(told(folder)) == [], number


def told(folder):
    """Living processes that have `folder` among their arguments."""
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if str(folder) in (process.info["cmdline"] or ())]


def wait_for_none(processes, seconds=10.0):
    """Those still alive at the end: a killed step's processes are the kernel's to end, some moments after it."""
    deadline = time.monotonic() + seconds
    while (left := [process for process in processes if lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def lives(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_ranks(folder, count, *, step=None, said=None, seconds=120.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = [folder / f"rank{rank}" for rank in range(count)]
        if all(path.exists() for path in found):
            return [psutil.Process(int(path.read_text())) for path in found]
        assert step is None or step.poll() is None, f"the step ended before its ranks began: {said.read_text()}"
        time.sleep(0.05)
    raise AssertionError(f"the ranks never started: {said.read_text() if said else ''}")
