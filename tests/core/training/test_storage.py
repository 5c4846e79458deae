"""Checkpoints are whole or absent, on disk and behind URLs, whenever a save is cut off."""

import multiprocessing
import os
import random
import resource
import signal
import time
import tracemalloc
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem
from object_store import bucket

from audiobuff_core.data.snapshot import Snapshot
from audiobuff_core.errors import InvalidCheckpoint, OutputNotWritable
from audiobuff_core.models.schema import read_checkpoint
from audiobuff_core.training.cli import main
from audiobuff_core.training.storage import CheckpointFolder


def _content(step: int) -> dict:
    return {"schema_version": 3, "train_state": {"step": step}, "weights": torch.full((50_000,), float(step))}


def _save_for_ever(url: str) -> None:
    folder = CheckpointFolder(url)
    for step in range(1, 10_000):
        if step % 3:
            folder.save_for_resume(_content(step))
        else:
            folder.save_epoch(_content(step), step, best=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 dislikes forks; this child never uses threads
def test_a_kill_during_a_save_never_loses_the_earlier_one(tmp_path: Path) -> None:
    chance = random.Random()
    furthest = 0
    for _ in range(25):
        child = multiprocessing.get_context("fork").Process(target=_save_for_ever, args=(str(tmp_path),))
        child.start()
        time.sleep(chance.uniform(0.05, 0.4))
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        found = CheckpointFolder(str(tmp_path)).newest()  # reads it all: what is not whole is an error
        if found is not None:
            step = found[0]["train_state"]["step"]
            assert float(found[0]["weights"][-1]) == step
            furthest = max(furthest, step)
    assert furthest > 3


def test_a_save_takes_no_second_copy_of_the_weights_in_memory(tmp_path: Path) -> None:
    content = {"weights": torch.zeros(4_000_000)}
    tracemalloc.start()  # it sees the memory of Python's buffers, not that of tensors
    CheckpointFolder(str(tmp_path)).save_for_resume(content)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "checkpoint_resume.pt").stat().st_size > 16_000_000
    assert most < 4_000_000


def test_a_disk_that_fills_up_during_a_save_is_one_clear_error(tmp_path: Path) -> None:
    folder = CheckpointFolder(str(tmp_path))
    folder.save_for_resume(_content(4))
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # half of it
    try:
        with pytest.raises(OutputNotWritable, match=r"Can't write .*checkpoint_resume\.pt: File too large"):
            folder.save_for_resume(_content(8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    newest = folder.newest()
    assert newest is not None
    assert newest[0]["train_state"]["step"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint_resume.pt"]


def test_what_a_killed_save_left_is_cleared_away(tmp_path: Path) -> None:
    folder = CheckpointFolder(str(tmp_path))
    folder.save_epoch(_content(4), 1, best=True)
    for name in (".checkpoint_resume-pn7oanvm.part.pt", ".training_log-a1_b2c3d.part.jsonl"):
        (tmp_path / name).write_bytes(b"half")
    folder.require_writable()
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint_best.pt", "checkpoint_epoch_1.pt"}


@pytest.mark.parametrize("kept", [0, 1, 100, 5_000, 150_000, -1])
@pytest.mark.parametrize("lazily", [False, True])
def test_a_checkpoint_that_is_cut_off_is_one_clear_error(tmp_path: Path, kept: int, lazily: bool) -> None:
    CheckpointFolder(str(tmp_path)).save_for_resume(_content(4))
    place = tmp_path / "checkpoint_resume.pt"
    place.write_bytes(place.read_bytes()[:kept])
    with pytest.raises(InvalidCheckpoint, match="is no whole checkpoint"):
        read_checkpoint(str(place), lazily=lazily)


def _save_for_ever_and_count(url: str, saved: Any) -> None:
    write = CheckpointFolder._write

    def counted(self: CheckpointFolder, name: str, content: dict[str, Any]) -> None:
        write(self, name, content)
        saved.value += 1

    CheckpointFolder._write = counted  # type: ignore[method-assign]
    _save_for_ever(url)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kill_during_an_upload_never_loses_the_earlier_one() -> None:
    """The same with an S3 on loopback, which outlives the process that writes to it."""
    chance, processes = random.Random(), multiprocessing.get_context("spawn")
    with bucket() as root:
        for _ in range(6):
            saved = processes.Value("i", 0)
            child = processes.Process(target=_save_for_ever_and_count, args=(f"{root}/run", saved))
            child.start()
            while saved.value < 4:
                assert child.is_alive()
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.3))
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            type(fsspec.filesystem("s3")).clear_instance_cache()  # of listings too
            folder = CheckpointFolder(f"{root}/run")
            found = folder.newest()
            assert found is not None
            assert found[0]["train_state"]["step"] >= 3
            for content in (found[0], folder.best()):
                assert float(content["weights"][-1]) == content["train_state"]["step"]


def test_a_store_that_fails_in_the_middle_keeps_the_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = CheckpointFolder(f"memory://{uuid4().hex}")
    folder.save_epoch(_content(4), 2, best=True)

    def broken(self: MemoryFileSystem, path: str, value: bytes, **options: object) -> None:
        raise ConnectionResetError("the bucket is gone")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", broken)
    with pytest.raises(OutputNotWritable, match=r"ConnectionResetError.*earlier checkpoints are whole"):
        folder.save_epoch(_content(8), 3, best=True)
    newest = folder.newest()
    assert newest is not None
    assert newest[0]["train_state"]["step"] == 4
    assert folder.best()["train_state"]["step"] == 4


def test_a_folder_behind_a_url_is_trained_into_and_resumed_from(snapshot: Snapshot) -> None:
    url = f"memory://{uuid4().hex}/run"
    arguments = ["--snapshot", snapshot.path, "--checkpoint_dir", url, "--profile", "test"]
    assert main([*arguments, "--max_steps", "2"]) == 0
    rows: list[dict] = []
    assert main([*arguments, "--max_steps", "4"], on_log=rows.append) == 0
    assert [row["step"] for row in rows if "loss" in row] == [3, 4]
    assert read_checkpoint(f"{url}/checkpoint_epoch_1.pt")["train_state"]["step"] == 4


def test_a_place_that_can_not_be_written_is_known_before_training(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    rows: list[dict] = []
    arguments = ["--snapshot", snapshot.path, "--profile", "test", "--checkpoint_dir"]
    assert main([*arguments, str(tmp_path / "file" / "run")], on_log=rows.append) == 1
    assert "Can't write" in capsys.readouterr().err

    def forbidden(self: MemoryFileSystem, path: str, value: bytes, **options: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", forbidden)
    assert main([*arguments, f"memory://{uuid4().hex}"], on_log=rows.append) == 1
    error = capsys.readouterr().err
    assert "Access Denied" in error
    assert error.count("\n") == 1
    assert rows == []
