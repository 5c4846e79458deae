"""The training loop: one path for a single process, torchrun and Dagster."""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from audiobuff_core.data.dataset import Batch, LatentDataset, collate
from audiobuff_core.data.sampler import micro_batch_counters, slot_at
from audiobuff_core.errors import TrainingFailed
from audiobuff_core.models.precision import Precision, autocast
from audiobuff_core.progress import track
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.draws import Draws, draw
from audiobuff_core.training.interruption import StopRequest, TrainingInterrupted
from audiobuff_core.training.log import TrainingLog
from audiobuff_core.training.objective import batch_error, moved, moved_draws, step_loss
from audiobuff_core.training.optimizer import learning_rate, set_learning_rate
from audiobuff_core.training.state import TrainingState
from audiobuff_core.training.storage import CheckpointFolder
from audiobuff_core.training.validation import FixedValidation

Microbatches = list[tuple[Batch, Draws]]


@dataclass(frozen=True, slots=True, eq=False)
class Trainer:
    """One run, ready to go.

    Attributes:
        config: its options.
        state: what moves.
        dataset: what it learns from.
        validation: what judges it; None if the validation split is empty.
        ranks: where this process stands.
        folder: where checkpoints go.
        log: rows of rank 0.
        on_log: told each row as it is added.
    """

    config: TrainingConfig
    state: TrainingState
    dataset: LatentDataset
    validation: FixedValidation | None
    ranks: Ranks
    folder: CheckpointFolder
    log: TrainingLog
    on_log: Callable[[dict[str, Any]], None]

    @property
    def samples_per_step(self) -> int:
        """Samples of all ranks and micro-batches."""
        return self.config.batch_size * self.config.grad_accum_steps * self.ranks.world_size

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        by_epochs = max(1, math.ceil(self.config.epochs * len(self.dataset.slots) / self.samples_per_step))
        return by_epochs if self.config.max_steps is None else min(by_epochs, self.config.max_steps)

    def epoch_at(self, samples_seen: int) -> int:
        """The epoch (from 1) that `samples_seen` samples are in or have just ended."""
        return max(1, math.ceil(samples_seen / len(self.dataset.slots)))

    def run(self) -> None:
        """Train from the state's position to the end.

        Raises:
            TrainingInterrupted: SIGINT or SIGTERM came; the state is saved.
            TrainingFailed: the loss was not finite for a run of steps.
        """
        model = self._wrapped()
        position, saved_at, bad_in_a_row = self.state.position, time.monotonic(), 0
        with StopRequest() as stop:
            for microbatches in self._batches():
                good = self._step(model, microbatches)
                bad_in_a_row = 0 if good else bad_in_a_row + 1
                if bad_in_a_row >= self.config.max_bad_steps:
                    raise TrainingFailed(
                        f"The loss was not finite for {bad_in_a_row} steps in a row, at step {position.step}: "
                        "lower --lr, or train with --precision fp32"
                    )
                ended = position.step == self.total_steps
                if ended or self._ends_epochs(position.samples_seen):
                    self._validate_and_save()
                    saved_at = time.monotonic()
                elif self.ranks.anyone(stop.requested or time.monotonic() - saved_at > self.config.checkpoint_seconds):
                    self._save_for_resume()
                    saved_at = time.monotonic()
                if self.ranks.anyone(stop.requested) and not ended:
                    self._save_for_resume()
                    raise TrainingInterrupted(
                        f"Stopped after step {position.step}; the same command goes on from there"
                    )

    def _wrapped(self) -> nn.Module:
        model: nn.Module = self.state.model
        if torch.distributed.is_initialized():
            model = DistributedDataParallel(model)
        return model.train()

    def _ends_epochs(self, samples_seen: int) -> bool:
        period = len(self.dataset.slots) * self.config.save_every_epochs
        return samples_seen // period > (samples_seen - self.samples_per_step) // period

    def _batches(self) -> Iterator[Microbatches]:
        """The micro-batches of each remaining step, read one step ahead."""
        remaining = range(self.state.position.step, self.total_steps)
        first = self.state.position.samples_seen
        begin = [first + index * self.samples_per_step for index in range(len(remaining))]
        with ThreadPoolExecutor(max_workers=max(1, self.config.num_workers)) as readers:
            ahead: list[Future[Microbatches]] = [readers.submit(self._read, begin[0])] if begin else []
            for index in track(range(len(remaining)), "Training"):
                if index + 1 < len(begin):
                    ahead.append(readers.submit(self._read, begin[index + 1]))
                yield ahead.pop(0).result()

    def _read(self, samples_seen: int) -> Microbatches:
        config, read = self.config, []
        for micro_batch in range(config.grad_accum_steps):
            counters = micro_batch_counters(
                samples_seen,
                micro_batch=micro_batch,
                rank=self.ranks.rank,
                world_size=self.ranks.world_size,
                batch_size=config.batch_size,
            )
            slots = [slot_at(counter, num_slots=len(self.dataset.slots), seed=config.seed) for counter in counters]
            segments = [
                self.dataset.segment(slot, config.seed, counter) for slot, counter in zip(slots, counters, strict=True)
            ]
            batch = collate(segments)
            read.append((batch, draw(config, counters, batch)))
        return read

    def _step(self, model: nn.Module, microbatches: Microbatches) -> bool:
        """One optimiser step; False if it was skipped because its gradient was not finite."""
        config, state, ranks = self.config, self.state, self.ranks
        rate = learning_rate(state.position.step, self.total_steps, config)
        set_learning_rate(state.optimizer, rate)
        total_frames = ranks.total(sum(batch.num_valid() for batch, _ in microbatches))
        loss = self._backward(model, microbatches, total_frames)
        state.scaler.unscale_(state.optimizer)
        norm = nn.utils.clip_grad_norm_(state.model.parameters(), config.clip_norm)
        good = bool(torch.isfinite(norm))
        if good:
            state.scaler.step(state.optimizer)
            state.ema.update(state.model)
        else:
            state.position.skipped_steps += 1
        state.scaler.update()
        state.optimizer.zero_grad(set_to_none=True)
        state.position.step += 1
        state.position.samples_seen += self.samples_per_step
        state.position.frames_seen += round(total_frames)
        if state.position.step % config.log_interval == 0 or state.position.step in (1, self.total_steps):
            self._add_row(loss=ranks.total(loss), lr=rate)
        return good

    def _backward(self, model: nn.Module, microbatches: Microbatches, total_frames: float) -> float:
        """Gradients of the whole step's mean, with one all-reduce; this rank's share of the loss."""
        config, device, loss_share = self.config, self.ranks.device, 0.0
        precision: Precision = config.precision  # type: ignore[assignment]
        latents = self.state.standardisers["target"].to(device)
        for index, (batch, draws) in enumerate(microbatches):
            last = index == len(microbatches) - 1
            if isinstance(model, DistributedDataParallel):
                model.require_backward_grad_sync = last
            with autocast(precision, device):
                error = batch_error(model, config, moved(batch, device), moved_draws(draws, device), latents)
            loss = step_loss(error, config, total_frames=total_frames, total_items=self.samples_per_step)
            # DDP averages gradients over ranks, the loss is already divided by the totals of all of them.
            self.state.scaler.scale(loss * self.ranks.world_size).backward()  # type: ignore[no-untyped-call]
            loss_share += float(loss.detach())
        return loss_share

    def _add_row(self, **values: float) -> None:
        position = self.state.position
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        row = {"step": position.step, "epoch": self.epoch_at(position.samples_seen), **finite}
        self.log.add(**row)
        if self.ranks.is_first:
            self.on_log(row)

    def _validate_and_save(self) -> None:
        position, best = self.state.position, False
        if self.ranks.is_first:
            if self.validation is not None:
                val_loss = self.validation.loss(self.state.ema.model)
                best = val_loss < position.best_val_loss
                position.best_val_loss = min(val_loss, position.best_val_loss)
                self._add_row(val_loss=val_loss)
            self.log.flush()
            epoch = self.epoch_at(position.samples_seen)
            self.folder.save_epoch(self.state.content(epoch), epoch, best=best or self.validation is None)
        self.ranks.wait()

    def _save_for_resume(self) -> None:
        if self.ranks.is_first:
            self.log.flush()
            self.folder.save_for_resume(self.state.content(self.epoch_at(self.state.position.samples_seen)))
        self.ranks.wait()
