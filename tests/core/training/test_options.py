"""What a run may be asked for beside its weights: a plan, an early end, more checkpoints, other logs."""

import json
from pathlib import Path

import pytest
import torch

from audiobuff_core.data.dataset import LatentDataset, collate
from audiobuff_core.data.snapshot import Snapshot
from audiobuff_core.models.schema import read_checkpoint
from audiobuff_core.training.cli import main, parser
from audiobuff_core.training.config import TrainingConfig, config_for
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.draws import draw
from audiobuff_core.training.feed import Feed
from audiobuff_core.training.network import make_network
from audiobuff_core.training.objective import batch_error, step_loss
from audiobuff_core.training.plan import forward_costs, imagined_network
from audiobuff_core.training.run import _trainer
from audiobuff_core.training.storage import CheckpointFolder
from audiobuff_core.training.trainer import Trainer
from audiobuff_core.training.validation import FixedValidation


def _arguments(snapshot: Snapshot, folder: Path, *more: str) -> list[str]:
    return ["--snapshot", snapshot.path, "--checkpoint_dir", str(folder), "--profile", "test", *more]


def test_every_option_is_explained() -> None:
    actions = {action.dest: action for action in parser()._actions}
    for name in TrainingConfig.__dataclass_fields__:
        assert len(str(actions[name].help)) > len(f" (poc: {getattr(TrainingConfig(), name)})"), name


@pytest.mark.parametrize("profile", ["builtin", "base", pytest.param("large", marks=pytest.mark.slow)])
def test_the_arithmetic_is_six_operations_a_parameter_and_frame(snapshot: Snapshot, profile: str) -> None:
    """Three products of two operations each (forward, and two backward) for every weight of a matrix."""
    config = config_for(profile, {"batch_size": 2, "precision": "bf16", "p_tau": 0.0})
    dataset = LatentDataset(snapshot, "train", segment_frames=64)
    network = imagined_network(config, dataset.dims)
    assert {"builtin": 7e6, "base": 55e6, "large": 350e6}[profile] < network.num_parameters()
    _, forward = forward_costs(network, config, dataset)
    frames = collate([dataset.segment(slot, 0, slot) for slot in (0, 1)]).valid.numel()
    assert forward / (2 * network.num_parameters() * frames) == pytest.approx(1.0, abs=0.25)


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    snapshot: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert main(_arguments(snapshot, folder, "--dry_run", "--epochs", "3", "--max_steps", "1000")) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    num_slots = len(LatentDataset(snapshot, "train", segment_frames=32).slots)
    assert lines["steps"].startswith(f"{-(-3 * num_slots // 2)},")
    assert f"{num_slots} segments an epoch" in lines["data"]
    assert "1 process x 1 x 2, cpu, fp32" in lines["step"]
    assert "parameters" in lines["network"]
    assert not folder.exists()


@pytest.mark.parametrize(("precision", "source"), [("fp32", "damaged"), ("bf16", "noise"), ("bf16", "uncertainty")])
def test_the_planned_memory_is_what_the_backward_pass_holds(snapshot: Snapshot, precision: str, source: str) -> None:
    config = config_for("test", {"precision": precision, "source": source, "d_model": 64})
    dataset = LatentDataset(snapshot, "train", segment_frames=32)
    planned = forward_costs(imagined_network(config, dataset.dims), config, dataset)[0]
    network, seen = make_network(config, dataset.dims), {}
    batch = collate([dataset.segment(slot, 0, slot) for slot in (0, 1)])
    own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        seen[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"),
    ):
        error = batch_error(network, config, batch, draw(config, [0, 1], batch), dataset.standardisers["target"])
        step_loss(error, config, total_frames=1.0, total_items=1.0)
    held = sum(storage.nbytes() for place, storage in seen.items() if place not in own)
    assert planned == pytest.approx(held, rel=0.02)


@pytest.mark.slow
def test_gradient_checkpointing_is_planned_with_the_memory_that_it_saves(snapshot: Snapshot) -> None:
    """Of each block its input, and of one the insides, however deep the network."""
    dataset = LatentDataset(snapshot, "train", segment_frames=32)

    def planned(depth: int, *, checkpointing: bool) -> int:
        config = config_for("test", {"d_model": 64, "depth": depth, "gradient_checkpointing": checkpointing})
        return forward_costs(imagined_network(config, dataset.dims), config, dataset)[0]

    inputs = 4 * 2 * 32 * 64
    assert planned(6, checkpointing=True) == planned(1, checkpointing=False) + 6 * inputs
    assert planned(6, checkpointing=True) < 0.5 * planned(6, checkpointing=False)


def test_training_ends_early_when_validation_does_not_improve(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.1, 1.0])
    monkeypatch.setattr(FixedValidation, "measures", lambda self, model: {"val_loss": next(losses)})
    slots = len(LatentDataset(snapshot, "train", segment_frames=32).slots)
    more = ["--batch_size", str(slots // 2), "--max_steps", "99", "--patience", "2", "--segment_frames", "32"]
    assert main(_arguments(snapshot, tmp_path, *more)) == 0
    rows = [json.loads(line) for line in (tmp_path / "training_log.jsonl").read_text().splitlines()]
    assert [row["val_loss"] for row in rows if "val_loss" in row] == [3.0, 2.0, 2.5, 2.1]
    done = json.loads((tmp_path / "done.json").read_text())
    assert done["val_loss"] == 2.0
    assert read_checkpoint(str(tmp_path / "checkpoint_best.pt"))["metrics"]["val_loss"] == 2.0


def test_the_last_two_and_every_nth_checkpoint_are_kept(tmp_path: Path) -> None:
    folder = CheckpointFolder(str(tmp_path))
    for epoch in range(1, 12):
        folder.save_epoch({"epoch": epoch}, epoch, best=epoch == 5, keep_every=4)
    assert [epoch for epoch, _ in folder.epochs()] == [4, 8, 10, 11]
    assert torch.load(tmp_path / "checkpoint_best.pt", weights_only=True) == {"epoch": 5}


def test_losses_are_drawn_and_logged_for_tensorboard(snapshot: Snapshot, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert main(_arguments(snapshot, tmp_path, "--tensorboard")) == 0
    assert CheckpointFolder(str(tmp_path)).last_step() == json.loads((tmp_path / "done.json").read_text())["steps"]
    assert CheckpointFolder(str(tmp_path / "elsewhere")).last_step() is None
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    rows = [json.loads(line) for line in (tmp_path / "training_log.jsonl").read_text().splitlines()]
    logged = [(event.step, event.value) for event in events.Scalars("loss")]
    assert logged == [(row["step"], pytest.approx(row["loss"])) for row in rows if "loss" in row]


def test_without_tensorboard_the_error_says_how_to_get_it(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard.writer", None)
    assert main(_arguments(snapshot, tmp_path, "--tensorboard")) == 1
    assert "uv sync --extra tensorboard" in capsys.readouterr().err


def test_more_steps_are_trained_when_more_are_asked_for(snapshot: Snapshot, tmp_path: Path) -> None:
    assert main(_arguments(snapshot, tmp_path, "--max_steps", "2")) == 0
    assert main(_arguments(snapshot, tmp_path, "--max_steps", "4")) == 0
    assert json.loads((tmp_path / "done.json").read_text())["steps"] == 4


def test_other_numbers_of_ranks_go_on_with_the_next_samples(snapshot: Snapshot, tmp_path: Path) -> None:
    def trainer(world_size: int, batch_size: int) -> tuple[Trainer, Feed]:
        ranks = Ranks(0, 1, torch.device("cpu"))
        made = _trainer(
            config_for("test", {"batch_size": batch_size, "epochs": 2, "max_steps": 1000}),
            "test", snapshot, str(tmp_path), ranks, lambda row: None,
        )  # fmt: skip
        feed = Feed(made.feed.damage, made.config, Ranks(0, world_size, torch.device("cpu")))
        return made, feed

    assert main(_arguments(snapshot, tmp_path, "--epochs", "2", "--max_steps", "3", "--batch_size", "2")) == 0
    alone, feed = trainer(1, 4)
    assert alone.state.position.samples_seen == 6
    assert (6 + 4 * alone.remaining_steps) - 2 * feed.num_slots in range(4)
    _, two = trainer(2, 2)
    whole, half = next(feed.steps(6, 1)), next(two.steps(6, 1))
    assert torch.equal(whole[0][0].clean[:2], half[0][0].clean)
    assert torch.equal(whole[0][1].noise[:2], half[0][1].noise)
