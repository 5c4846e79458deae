"""Ranks that are killed, one or all, or told to stop: what is trained later is as if nothing had been."""

import random
import signal
import time
from pathlib import Path

import psutil
import pytest
from launched_ranks import LONG, ended, files_in, kill_family, launch, wait_for_new_checkpoint

from audiobuff_core.data.snapshot import Snapshot

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # starting ranks is slow on a busy machine


@pytest.mark.parametrize("nproc", [1, 2])
def test_kill_9_at_random_steps_changes_no_bit(snapshot: Snapshot, tmp_path: Path, nproc: int) -> None:
    """Killed in the middle, twice, and stopped by SIGTERM once; weights, average, moments and log are the same."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    code, errors = ended(launch(snapshot.path, whole, nproc, *LONG))
    assert code == 0, errors
    kills = 0
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        process = launch(snapshot.path, part, nproc, *LONG)
        if wait_for_new_checkpoint(process, part):
            time.sleep(random.Random().uniform(0, 0.3))
            kills += 1
        if number == signal.SIGKILL:
            kill_family(process)
        else:
            process.send_signal(number)
            code, errors = ended(process)
            assert code != 0 or (part / "done.json").exists()
            assert code == 0 or "the same command goes on from there" in errors
    assert kills >= 1
    code, errors = ended(launch(snapshot.path, part, nproc, *LONG))
    assert code == 0, errors
    assert files_in(part) == files_in(whole)


def test_ranks_whose_torchrun_was_killed_save_and_end(snapshot: Snapshot, tmp_path: Path) -> None:
    process = launch(snapshot.path, tmp_path, 2, *LONG)
    assert wait_for_new_checkpoint(process, tmp_path)
    ranks = psutil.Process(process.pid).children()
    assert len(ranks) == 2
    process.kill()
    process.wait(60)
    _, alive = psutil.wait_procs(ranks, timeout=60)
    assert alive == []
    process.communicate()
    assert not (tmp_path / "done.json").exists()
    assert (tmp_path / "checkpoint_resume.pt").exists()


def test_a_dead_rank_ends_all_of_them(snapshot: Snapshot, tmp_path: Path) -> None:
    process = launch(snapshot.path, tmp_path, 2, "--max_steps", "100000", "--checkpoint_seconds", "0.2")
    assert wait_for_new_checkpoint(process, tmp_path)
    ranks = [child for child in psutil.Process(process.pid).children() if "--snapshot" in child.cmdline()]
    assert len(ranks) == 2
    next(rank for rank in ranks if rank.environ()["RANK"] == "1").kill()
    code, errors = ended(process)
    assert code != 0
    said = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(said) == 1, errors
    assert "Rank 0 of 2 lost another one" in said[0]
    assert not [rank for rank in ranks if rank.is_running() and rank.status() != psutil.STATUS_ZOMBIE]
