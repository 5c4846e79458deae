"""Training under torchrun: kills, signals, two launchers, and what every rank says when something is wrong."""

import multiprocessing
import os
import pickle
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch

from audiobuff_core.data.snapshot import Snapshot, load_snapshot
from audiobuff_core.models.schema import read_checkpoint
from audiobuff_core.training.config import config_for
from audiobuff_core.training.distributed import joined_ranks
from audiobuff_core.training.log import read_log
from audiobuff_core.training.run import _trainer
from audiobuff_core.training.step import TrainingStep

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # starting ranks is slow on a busy machine
LONG = ("--max_steps", "150", "--checkpoint_seconds", "0.2", "--save_every_epochs", "2")


def _launch(snapshot: str, folder: Path, nproc: int, *options: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen:
    place = launcher or ("--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0")
    command = [
        sys.executable, "-m", "torch.distributed.run", *place, f"--nproc_per_node={nproc}", "-m",
        "audiobuff_core.training", "--snapshot", snapshot, "--checkpoint_dir", str(folder), "--profile", "test",
        *options,
    ]  # fmt: skip
    return subprocess.Popen(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _ended(process: subprocess.Popen) -> tuple[int, str]:
    _, errors = process.communicate(timeout=280)
    return process.returncode, errors


def _kill_family(process: subprocess.Popen) -> None:
    with suppress(psutil.NoSuchProcess):  # each may end by itself meanwhile
        root = psutil.Process(process.pid)
        for member in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                member.kill()
    process.communicate(timeout=60)


def _wait_for_new_checkpoint(process: subprocess.Popen, folder: Path) -> bool:
    """Whether one came before the process ended."""
    place = folder / "checkpoint_resume.pt"
    before = place.stat().st_mtime_ns if place.exists() else 0
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if place.stat().st_mtime_ns != before:
                return True
        except FileNotFoundError:
            pass
        time.sleep(0.01)
    return False


def _files(folder: Path) -> dict[str, bytes]:
    return {place.name: place.read_bytes() for place in folder.iterdir() if place.name != "timing.json"}


@pytest.mark.parametrize("nproc", [1, 2])
def test_kill_9_at_random_steps_changes_no_bit(snapshot: Snapshot, tmp_path: Path, nproc: int) -> None:
    """Killed in the middle, twice, and stopped by SIGTERM once; weights, average, moments and log are the same."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    code, errors = _ended(_launch(snapshot.path, whole, nproc, *LONG))
    assert code == 0, errors
    kills = 0
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        process = _launch(snapshot.path, part, nproc, *LONG)
        if _wait_for_new_checkpoint(process, part):
            time.sleep(random.Random().uniform(0, 0.3))
            kills += 1
        if number == signal.SIGKILL:
            _kill_family(process)
        else:
            process.send_signal(number)
            code, errors = _ended(process)
            assert code != 0 or (part / "done.json").exists()
            assert code == 0 or "the same command goes on from there" in errors
    assert kills >= 1
    code, errors = _ended(_launch(snapshot.path, part, nproc, *LONG))
    assert code == 0, errors
    assert _files(part) == _files(whole)


def test_ranks_whose_torchrun_was_killed_save_and_end(snapshot: Snapshot, tmp_path: Path) -> None:
    process = _launch(snapshot.path, tmp_path, 2, *LONG)
    assert _wait_for_new_checkpoint(process, tmp_path)
    ranks = psutil.Process(process.pid).children()
    assert len(ranks) == 2
    process.kill()
    process.wait(60)
    _, alive = psutil.wait_procs(ranks, timeout=60)
    assert alive == []
    process.communicate()
    assert not (tmp_path / "done.json").exists()
    assert (tmp_path / "checkpoint_resume.pt").exists()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_two_launchers_train_what_one_does(snapshot: Snapshot, tmp_path: Path) -> None:
    port = _free_port()
    nodes = [
        _launch(
            snapshot.path,
            tmp_path / "two",
            1,
            launcher=("--nnodes=2", f"--node_rank={rank}", "--master_addr=127.0.0.1", f"--master_port={port}"),
        )
        for rank in (0, 1)
    ]
    for node in nodes:
        code, errors = _ended(node)
        assert code == 0, errors
    code, errors = _ended(_launch(snapshot.path, tmp_path / "one", 2))
    assert code == 0, errors
    assert _files(tmp_path / "two") == _files(tmp_path / "one")


def test_two_ranks_train_what_one_rank_does(snapshot: Snapshot, tmp_path: Path) -> None:
    """2 ranks x 2 samples and 1 rank x 4 samples take the same steps, up to the order of sums."""
    for name, nproc, batch in (("two", 2, "2"), ("one", 1, "4")):
        code, errors = _ended(_launch(snapshot.path, tmp_path / name, nproc, "--batch_size", batch))
        assert code == 0, errors
    one, two = (read_checkpoint(str(tmp_path / name / "checkpoint_best.pt")) for name in ("one", "two"))
    for name, tensor in one["model_state"].items():
        assert torch.allclose(tensor, two["model_state"][name], atol=1e-4), name


def test_a_run_goes_on_at_another_number_of_ranks(snapshot: Snapshot, tmp_path: Path) -> None:
    """Begun by one rank x 4, ended by 2 x 2: the steps are those of one rank alone, up to the order of sums."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    code, errors = _ended(_launch(snapshot.path, whole, 1, "--max_steps", "25", "--batch_size", "4"))
    assert code == 0, errors
    earlier, last = sorted(whole.glob("checkpoint_epoch_*.pt"))
    more = ("--max_steps", "25", "--batch_size", "2", "--resume_path", str(earlier))
    code, errors = _ended(_launch(snapshot.path, part, 2, *more))
    assert code == 0, errors
    one, other = (read_checkpoint(str(place)) for place in (last, part / last.name))
    begun = read_checkpoint(str(earlier))["train_state"]["step"]
    assert 0 < begun < other["train_state"]["step"] == 25
    assert [row["step"] for row in read_log(str(part)) if "loss" in row] == list(range(begun + 1, 26))
    for name in ("samples_seen", "frames_seen"):
        assert one["train_state"][name] == other["train_state"][name]
    for name, tensor in one["model_state"].items():
        assert torch.allclose(tensor, other["model_state"][name], atol=1e-4), name


def _gradients(rank: int, split: tuple[int, int, int], port: int, snapshot: str, folder: str) -> None:
    """What a rank has after the exchange; the first one saves it."""
    world_size, batch_size, turns = split
    place = {"RANK": rank, "WORLD_SIZE": world_size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    torch.set_num_threads(1)
    config = config_for("test", {"batch_size": batch_size, "grad_accum_steps": turns, "ratio_weight": 0.1})
    with joined_ranks("cpu") as ranks:
        trainer = _trainer(config, "test", load_snapshot(snapshot), f"{folder}/run", ranks, lambda row: None)
        trainer.state.model.vfn.head.fields.bias.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
        step, part = TrainingStep(config, trainer.state, ranks), next(trainer.feed.steps(8, 1))
        frames = ranks.total(sum(batch.num_valid() for batch, _ in part))
        step.backward(part, total_frames=frames, total_items=4)
        if ranks.is_first:
            held = [one.grad.flatten() for one in trainer.state.model.parameters() if one.grad is not None]
            torch.save(torch.cat(held), f"{folder}/{'x'.join(map(str, split))}.pt")


def test_ranks_and_turns_exchange_the_same_gradients(snapshot: Snapshot, tmp_path: Path) -> None:
    """One rank x 4, two x 2, one x 1 four times and two x 1 twice, over gloo: to a millionth."""
    processes, splits = multiprocessing.get_context("spawn"), [(1, 4, 1), (2, 2, 1), (1, 1, 4), (2, 1, 2)]
    for split in splits:
        shared = (split, _free_port(), snapshot.path, str(tmp_path))
        ranks = [processes.Process(target=_gradients, args=(rank, *shared)) for rank in range(split[0])]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join(200)
            assert rank.exitcode == 0
    one, *others = (torch.load(tmp_path / f"{'x'.join(map(str, split))}.pt", weights_only=True) for split in splits)
    largest = float(one.abs().max())
    assert largest > 1e-3
    for split, other in zip(splits[1:], others, strict=True):
        assert float((other - one).abs().max()) < 1e-6 * largest, split


def test_launchers_with_other_flags_are_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    place = ("--nnodes=2", "--master_addr=127.0.0.1", f"--master_port={_free_port()}")
    nodes = [
        _launch(snapshot.path, tmp_path / "run", 1, *more, launcher=(*place, f"--node_rank={rank}"))
        for rank, more in enumerate([(), ("--lr", "0.5")])
    ]
    for node in nodes:
        code, errors = _ended(node)
        assert code != 0
        assert [line for line in errors.splitlines() if line.startswith("error: ")], errors
    assert "disagree about options" in errors


def test_a_dead_rank_ends_all_of_them(snapshot: Snapshot, tmp_path: Path) -> None:
    process = _launch(snapshot.path, tmp_path, 2, "--max_steps", "100000", "--checkpoint_seconds", "0.2")
    assert _wait_for_new_checkpoint(process, tmp_path)
    ranks = [child for child in psutil.Process(process.pid).children() if "--snapshot" in child.cmdline()]
    assert len(ranks) == 2
    next(rank for rank in ranks if rank.environ()["RANK"] == "1").kill()
    code, errors = _ended(process)
    assert code != 0
    said = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(said) == 1, errors
    assert "Rank 0 of 2 lost another one" in said[0]
    assert not [rank for rank in ranks if rank.is_running() and rank.status() != psutil.STATUS_ZOMBIE]


class _Evil:
    def __reduce__(self) -> tuple:
        return (os.system, ("touch ran_the_pickle",))


def _unsealed(root: Path) -> None:
    next(root.rglob("target/**/manifest.json")).unlink()


def _of_another_encoder(root: Path) -> None:
    manifest = next(root.rglob("target/**/manifest.json"))
    manifest.write_text(manifest.read_text().replace('"name": "', '"name": "other-'))


def _emptied(root: Path) -> None:
    for group in ("target", "structure", "semantic"):
        shutil.rmtree(next(root.rglob(group)))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_emptied, "extract the latents of this shard first"),
        (_unsealed, "is not sealed"),
        (_of_another_encoder, "is by other-builtin-mdct"),
    ],
)
def test_latents_that_can_not_be_used_are_one_line_from_every_rank(
    snapshot: Snapshot, tmp_path: Path, spoil, said: str
) -> None:
    shutil.copytree(Path(snapshot.path).parents[1], tmp_path / "root")
    spoil(tmp_path / "root")
    place = tmp_path / "root" / "snapshots" / Path(snapshot.path).name
    _refused(_launch(str(place), tmp_path / "run", 2), said)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("sizes", "d_model is 32 there and 48 here"),
        ("truncated", "cut off"),
        ("pickled", "refused"),
        ("unwritable", "Can't write"),
    ],
)
def test_checkpoints_that_can_not_be_used_are_one_line_from_every_rank(
    snapshot: Snapshot, tmp_path: Path, kind: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, more = tmp_path / "run", ()
    if kind == "unwritable":
        (tmp_path / "file").write_text("")
        folder = tmp_path / "file" / "run"
    else:
        code, errors = _ended(_launch(snapshot.path, folder, 1, "--max_steps", "1"))
        assert code == 0, errors
        place = folder / "checkpoint_epoch_1.pt"
        if kind == "sizes":
            more = ("--d_model", "48")
        elif kind == "truncated":
            place.write_bytes(place.read_bytes()[:5000])
        else:
            place.write_bytes(pickle.dumps(_Evil()))
    _refused(_launch(snapshot.path, folder, 2, "--max_steps", "3", *more), said)
    assert not (tmp_path / "ran_the_pickle").exists()


def _refused(process: subprocess.Popen, said: str) -> None:
    family = psutil.Process(process.pid).children(recursive=True)
    code, errors = _ended(process)
    assert code != 0
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert 1 <= len(lines) <= 2, errors
    assert any(said in line for line in lines), errors
    assert all(said in line or "lost another one" in line for line in lines), errors
    assert not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
