"""Ranks under torchrun train what one process does, however many they are and whoever starts them."""

import multiprocessing
import os
from pathlib import Path

import pytest
import torch
from launched_ranks import ended, files_in, free_port, launch

from audiobuff_core.data.snapshot import Snapshot, load_snapshot
from audiobuff_core.models.schema import read_checkpoint
from audiobuff_core.training.config import config_for
from audiobuff_core.training.distributed import joined_ranks
from audiobuff_core.training.log import read_log
from audiobuff_core.training.run import _trainer
from audiobuff_core.training.step import TrainingStep

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # starting ranks is slow on a busy machine


def test_two_launchers_train_what_one_does(snapshot: Snapshot, tmp_path: Path) -> None:
    port = free_port()
    nodes = [
        launch(
            snapshot.path,
            tmp_path / "two",
            1,
            launcher=("--nnodes=2", f"--node_rank={rank}", "--master_addr=127.0.0.1", f"--master_port={port}"),
        )
        for rank in (0, 1)
    ]
    for node in nodes:
        code, errors = ended(node)
        assert code == 0, errors
    code, errors = ended(launch(snapshot.path, tmp_path / "one", 2))
    assert code == 0, errors
    assert files_in(tmp_path / "two") == files_in(tmp_path / "one")


def test_two_ranks_train_what_one_rank_does(snapshot: Snapshot, tmp_path: Path) -> None:
    """2 ranks x 2 samples and 1 rank x 4 samples take the same steps, up to the order of sums."""
    for name, nproc, batch in (("two", 2, "2"), ("one", 1, "4")):
        code, errors = ended(launch(snapshot.path, tmp_path / name, nproc, "--batch_size", batch))
        assert code == 0, errors
    one, two = (read_checkpoint(str(tmp_path / name / "checkpoint_best.pt")) for name in ("one", "two"))
    for name, tensor in one["model_state"].items():
        assert torch.allclose(tensor, two["model_state"][name], atol=1e-4), name


def test_a_run_goes_on_at_another_number_of_ranks(snapshot: Snapshot, tmp_path: Path) -> None:
    """Begun by one rank x 4, ended by 2 x 2: the steps are those of one rank alone, up to the order of sums."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    code, errors = ended(launch(snapshot.path, whole, 1, "--max_steps", "25", "--batch_size", "4"))
    assert code == 0, errors
    earlier, last = sorted(whole.glob("checkpoint_epoch_*.pt"))
    more = ("--max_steps", "25", "--batch_size", "2", "--resume_path", str(earlier))
    code, errors = ended(launch(snapshot.path, part, 2, *more))
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
        shared = (split, free_port(), snapshot.path, str(tmp_path))
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
