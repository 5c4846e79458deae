import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from resources.process_tree import descendants, end_tree
from resources.trainer import SHIM, torchrun_command

# Processes are started and waited for: too long for the fast tests. `.ci/run` runs these too.
pytestmark = pytest.mark.slow

# Ignores polite signals, and starts a child in a session of its own that does, too.
STUBBORN = """
import os, signal, subprocess, sys, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
if len(sys.argv) > 2:
    subprocess.Popen([*sys.argv[2:], sys.executable, __file__, sys.argv[1]], start_new_session=True)
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(600)
"""


def wait_for_pids(path: Path, count: int, seconds: float = 60.0) -> list[psutil.Process]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        lines = path.read_text().split() if path.exists() else []
        if len(lines) >= count:
            return [psutil.Process(int(line)) for line in lines]
        time.sleep(0.05)
    raise AssertionError(f"{count} processes never started")


def assert_gone(processes: list[psutil.Process], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        living = [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
        if not living:
            return
        time.sleep(0.05)
    for process in living:
        process.kill()
    raise AssertionError(f"{len(living)} processes survived")


@pytest.fixture
def stubborn(tmp_path):
    script = tmp_path / "stubborn.py"
    script.write_text(STUBBORN)
    return script


def test_end_tree_reaches_a_grandchild_that_ignores_signals_in_another_session(stubborn, tmp_path):
    pids = tmp_path / "pids"
    # `env` as the prefix makes the first process start a second.
    process = subprocess.Popen([sys.executable, str(stubborn), str(pids), "env"])
    family = wait_for_pids(pids, 2)
    killed = end_tree(process.pid, grace_seconds=(0.2, 0.2, 5.0))
    process.wait(5)
    assert_gone(family)
    assert set(killed) == {member.pid for member in family}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_supervised_command_that_ignores_signals_ends_with_its_children_when_told(stubborn, tmp_path, number):
    pids = tmp_path / "pids"
    command = [sys.executable, str(stubborn), str(pids), "env"]
    code = (
        "from resources import process_tree\nprocess_tree.STOP_SECONDS = 0.5\n"
        f"process_tree.supervise({command!r}, spared='nothing')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    family = wait_for_pids(pids, 2)
    process.send_signal(number)
    assert process.wait(30) in (130, -signal.SIGINT)
    assert_gone(family)


def test_a_supervised_command_outlives_its_terminal_under_nohup():
    code = "from resources.process_tree import supervise; supervise(['sh', '-c', 'echo up; sleep 1'], spared='nothing')"
    command = ["nohup", sys.executable, "-c", code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 0


def test_what_a_supervised_command_forked_runs_from_is_not_killed(stubborn, tmp_path):
    leader, follower, script = tmp_path / "leader", tmp_path / "follower", tmp_path / "lead.py"
    script.write_text(
        "import os, pathlib, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, {str(stubborn)!r}, {str(follower)!r}], start_new_session=True)\n"
        f"pathlib.Path({str(leader)!r}).write_text(str(os.getpid()))\ntime.sleep(600)"
    )
    supervising = (
        "from resources import process_tree\nprocess_tree.STOP_SECONDS = 0.5\n"
        f"process_tree.supervise({[sys.executable, str(script)]!r}, spared={str(stubborn)!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", supervising], stderr=subprocess.DEVNULL)
    spared = wait_for_pids(follower, 1)
    led = wait_for_pids(leader, 1)
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    assert_gone(led)
    assert spared[0].is_running()
    spared[0].kill()


def test_end_tree_lets_a_process_finish_its_saving(tmp_path):
    saved = tmp_path / "saved"
    code = (
        "import signal, sys, time, pathlib\n"
        f"path = pathlib.Path({str(saved)!r})\n"
        "def save(*_):\n    time.sleep(0.5); path.write_text('whole'); sys.exit(3)\n"
        "signal.signal(signal.SIGINT, save)\nprint('ready', flush=True)\ntime.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
        assert end_tree(process.pid, grace_seconds=(10, 1, 1)) == []
    assert process.wait(5) == 3
    assert saved.read_text() == "whole"


def test_end_tree_of_a_process_that_is_gone_does_nothing():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert descendants(process.pid) == []
    assert end_tree(process.pid) == []


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_nothing_survives_a_killed_parent(stubborn, tmp_path):
    pids = tmp_path / "pids"
    shim = [sys.executable, SHIM]
    command = [*shim, sys.executable, str(stubborn), str(pids), *shim]
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.Popen({command!r}, start_new_session=True).wait()"]
    )
    family = wait_for_pids(pids, 2)
    parent.send_signal(signal.SIGKILL)
    parent.wait(5)
    assert_gone(family)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_no_rank_of_torchrun_survives_a_killed_parent(stubborn, tmp_path):
    pids = tmp_path / "pids"
    command = torchrun_command("stubborn", [str(pids)], 2)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.Popen({command!r}, start_new_session=True).wait()"],
        env=environment,
    )
    ranks = wait_for_pids(pids, 2)
    torchrun = ranks[0].parent()
    assert torchrun is not None
    parent.send_signal(signal.SIGKILL)
    parent.wait(5)
    assert_gone([*ranks, torchrun])


def test_the_launcher_ends_with_the_code_of_the_rank_that_failed(tmp_path):
    (tmp_path / "failing.py").write_text("import sys; print('error: it said why', file=sys.stderr); sys.exit(3)")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        torchrun_command("failing", [], 1), env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 3
    assert "it said why" in done.stderr
    assert "Traceback" not in done.stderr
