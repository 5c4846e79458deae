"""One optimiser step: how it is split, skipped, and what it says when memory is short."""

from pathlib import Path
from typing import Any

import pytest
import torch

from audiobuff_core.data.snapshot import Snapshot
from audiobuff_core.errors import OutOfMemory
from audiobuff_core.training.cli import main
from audiobuff_core.training.config import TrainingConfig, config_for
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.feed import Feed
from audiobuff_core.training.memory import explained_shortage
from audiobuff_core.training.run import _trainer
from audiobuff_core.training.step import TrainingStep
from audiobuff_core.training.trainer import Trainer

CPU = torch.device("cpu")
ONE = Ranks(rank=0, world_size=1, device=CPU)


def _made(snapshot: Snapshot, folder: Path, **overrides: Any) -> Trainer:
    config = config_for("test", overrides)
    return _trainer(config, "test", snapshot, str(folder), ONE, lambda row: None)


def _first(trainer: Trainer) -> list:
    return next(trainer.feed.steps(0, 1))


def _weights(module: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def _same(one: list[torch.Tensor], two: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_one_by_four_two_by_two_and_four_in_turn_give_the_same_gradients(snapshot: Snapshot, tmp_path: Path) -> None:
    """Ranks are imitated: each makes its own gradients, and their mean, which is DDP's, is compared."""
    gradients = {}
    for name, world_size, batch_size, turns in (("1x4", 1, 4, 1), ("2x2", 2, 2, 1), ("in turn", 1, 1, 4)):
        trainer = _made(snapshot, tmp_path, batch_size=batch_size, grad_accum_steps=turns, ratio_weight=0.1)
        trainer.state.model.vfn.head.fields.bias.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
        ranks = [Ranks(rank, world_size, CPU) for rank in range(world_size)]
        parts = [next(Feed(trainer.feed.damage, trainer.config, rank).steps(8, 1)) for rank in ranks]
        frames = sum(batch.num_valid() for part in parts for batch, _ in part)
        total = [torch.zeros_like(parameter) for parameter in trainer.state.model.parameters()]
        for rank, part in zip(ranks, parts, strict=True):
            TrainingStep(trainer.config, trainer.state, rank).backward(part, total_frames=frames, total_items=4)
            for summed, parameter in zip(total, trainer.state.model.parameters(), strict=True):
                if parameter.grad is not None:
                    summed += parameter.grad / world_size
            trainer.state.optimizer.zero_grad()
        gradients[name] = torch.cat([tensor.flatten() for tensor in total])
    largest = float(gradients["1x4"].abs().max())
    assert largest > 1e-3
    for name in ("2x2", "in turn"):
        assert float((gradients[name] - gradients["1x4"]).abs().max()) < 1e-6 * largest, name


def test_a_step_whose_loss_is_not_finite_leaves_everything_but_the_position(snapshot: Snapshot, tmp_path: Path) -> None:
    trainer = _made(snapshot, tmp_path)
    state, step = trainer.state, TrainingStep(trainer.config, trainer.state, ONE)
    assert step.take(_first(trainer), 1e-3).good
    assert state.ema.num_updates == 1
    before, average = _weights(state.model), _weights(state.ema.model)
    moments = [kept["exp_avg"].clone() for kept in state.optimizer.state.values()]
    spoiled = _first(trainer)
    spoiled[0][0].clean[0, 0, 0] = float("nan")
    assert not step.take(spoiled, 1e-3).good
    assert _same(before, _weights(state.model))
    assert _same(average, _weights(state.ema.model))
    assert _same(moments, [kept["exp_avg"] for kept in state.optimizer.state.values()])
    assert (state.ema.num_updates, state.position.skipped_steps, state.position.step) == (1, 1, 2)
    assert step.take(_first(trainer), 1e-3).good


@pytest.mark.parametrize("clip_norm", [1e-3, 1e6])
def test_a_gradient_is_no_longer_than_it_may_be(snapshot: Snapshot, tmp_path: Path, clip_norm: float) -> None:
    trainer, lengths = _made(snapshot, tmp_path, clip_norm=clip_norm), []

    def note(optimizer: torch.optim.Optimizer, *_: object) -> None:
        held = [one.grad.flatten() for one in trainer.state.model.parameters() if one.grad is not None]
        lengths.append(float(torch.cat(held).norm()))

    trainer.state.optimizer.register_step_pre_hook(note)
    assert TrainingStep(trainer.config, trainer.state, ONE).take(_first(trainer), 1e-3).good
    (length,) = lengths
    if clip_norm < 1:
        assert length == pytest.approx(clip_norm, rel=1e-3)
    else:  # and what is short enough stays as long as it is
        assert 1e-2 < length < 1e5


def test_half_precision_scales_the_loss_and_halves_the_scale_where_it_overflows(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    trainer = _made(snapshot, tmp_path, precision="fp16")
    state, step = trainer.state, TrainingStep(trainer.config, trainer.state, ONE)
    assert state.scaler.is_enabled()
    while not step.take(_first(trainer), 1e-3).good:  # it finds its scale by itself
        assert state.position.step < 20
    scale, updates = state.scaler.get_scale(), state.ema.num_updates
    before = _weights(state.model)
    spoiled = _first(trainer)
    spoiled[0][0].clean[0] = 1e30
    assert not step.take(spoiled, 1e-3).good
    assert state.scaler.get_scale() == scale / 2
    assert _same(before, _weights(state.model))
    assert state.ema.num_updates == updates
    kept = state.content(1)["scaler_state"]
    assert kept["scale"] == scale / 2


@pytest.mark.parametrize("where", ["step.batch_error", "run.make_network", "validation.batch_error"])
def test_running_out_of_memory_names_the_four_remedies(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    def shortage(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(f"audiobuff_core.training.{where}", shortage)
    arguments = ["--snapshot", snapshot.path, "--checkpoint_dir", str(tmp_path), "--profile", "test"]
    assert main([*arguments, "--batch_size", "8", "--max_steps", "1"]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: Out of memory at batch size 8 x 32 frames")
    for remedy in ("--batch_size 4 --grad_accum_steps 2", "--gradient_checkpointing", "--precision bf16",
                   "--segment_frames 16"):  # fmt: skip
        assert remedy in message


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17.93 GB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_every_device_says_it_in_its_own_words(error: Exception) -> None:
    with pytest.raises(OutOfMemory), explained_shortage(TrainingConfig()):
        raise error
    with pytest.raises(RuntimeError, match="shape"), explained_shortage(TrainingConfig()):
        raise RuntimeError("shape mismatch")
