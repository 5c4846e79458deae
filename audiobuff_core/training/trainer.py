"""The training loop: one path for a single process, torchrun and Dagster."""

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from audiobuff_core.errors import TrainingFailed
from audiobuff_core.progress import track
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.feed import Feed
from audiobuff_core.training.interruption import DrawInterrupted, StopRequest, TrainingInterrupted
from audiobuff_core.training.log import TrainingLog
from audiobuff_core.training.optimizer import learning_rate
from audiobuff_core.training.state import TrainingState
from audiobuff_core.training.step import StepOutcome, TrainingStep
from audiobuff_core.training.storage import CheckpointFolder
from audiobuff_core.training.validation import FixedValidation


@dataclass(frozen=True, slots=True, eq=False)
class Trainer:
    """One run, ready to go.

    Attributes:
        config: its options.
        state: what moves.
        feed: what it learns from.
        validation: what judges it; None if the validation split is empty, and on all ranks but the first.
        ranks: where this process stands.
        folder: where checkpoints go.
        log: rows of rank 0.
        on_log: told each row as it is added.
    """

    config: TrainingConfig
    state: TrainingState
    feed: Feed
    validation: FixedValidation | None
    ranks: Ranks
    folder: CheckpointFolder
    log: TrainingLog
    on_log: Callable[[dict[str, Any]], None]

    @property
    def num_slots(self) -> int:
        """Samples of one epoch."""
        return self.feed.num_slots

    @property
    def remaining_steps(self) -> int:
        """Steps from the state's position to the end, at this number of ranks."""
        position = self.state.position
        samples = self.config.epochs * self.num_slots - position.samples_seen
        by_epochs = math.ceil(samples / self.feed.samples_per_step)
        by_steps = by_epochs if self.config.max_steps is None else self.config.max_steps - position.step
        return max(0, min(by_epochs, by_steps))

    @property
    def progress(self) -> float:
        """The share of the run that is done, 0 to 1; it does not jump when the number of ranks changes."""
        position = self.state.position
        by_epochs = position.samples_seen / (self.config.epochs * self.num_slots)
        return min(1.0, max(by_epochs, position.step / (self.config.max_steps or math.inf)))

    def epoch_at(self, samples_seen: int) -> int:
        """The epoch (from 1) that `samples_seen` samples are in or have just ended."""
        return max(1, math.ceil(samples_seen / self.num_slots))

    def run(self) -> None:
        """Train from the state's position to the end.

        Raises:
            TrainingInterrupted: SIGINT or SIGTERM came; the state is saved.
            TrainingFailed: the loss was not finite for a run of steps.
        """
        with StopRequest() as stop:
            try:
                self._run(stop)
            except DrawInterrupted:
                self._save_for_resume()
                raise
            finally:
                self.feed.damage.close()

    def _run(self, stop: StopRequest) -> None:
        step = TrainingStep(self.config, self.state, self.ranks)
        position, saved_at, bad_in_a_row = self.state.position, time.monotonic(), 0
        last = position.step + self.remaining_steps
        num_steps = 0 if self._is_patience_over() else self.remaining_steps
        with closing(self.feed.steps(position.samples_seen, num_steps, lambda: stop.requested)) as batches:
            for microbatches in track(batches, "Training", self.remaining_steps):
                rate = learning_rate(position.step, self.progress, self.config)
                before = position.samples_seen
                outcome = step.take(microbatches, rate)
                bad_in_a_row = self._checked(outcome, bad_in_a_row)
                self._log_step(outcome, rate, is_last=position.step == last)
                due = time.monotonic() - saved_at > self.config.checkpoint_seconds
                save_due, stopped = (count > 0 for count in self.ranks.totals(due, stop.requested))
                if position.step == last or self._ends_epochs(before, position.samples_seen):
                    self._validate_and_save()
                    saved_at = time.monotonic()
                elif save_due or stopped:
                    self._save_for_resume()
                    saved_at = time.monotonic()
                if position.step == last or self._is_patience_over():
                    break
                if stopped:
                    raise TrainingInterrupted(
                        f"Stopped after step {position.step}; the same command goes on from there"
                    )

    def _checked(self, outcome: StepOutcome, bad_in_a_row: int) -> int:
        """The new number of bad steps in a row."""
        bad_in_a_row = 0 if outcome.good else bad_in_a_row + 1
        if bad_in_a_row >= self.config.max_bad_steps:
            raise TrainingFailed(
                f"The loss was not finite for {bad_in_a_row} steps in a row, at step {self.state.position.step}: "
                "lower --lr, or train with --precision fp32"
            )
        return bad_in_a_row

    def _ends_epochs(self, before: int, now: int) -> bool:
        period = self.num_slots * self.config.save_every_epochs
        return now // period > before // period

    def _is_patience_over(self) -> bool:
        """Whether validation has not improved for so long that training ends; the same on all ranks."""
        over = 0 < self.config.patience <= self.state.position.validations_since_best
        return self.config.patience > 0 and self.ranks.anyone(over)

    def _log_step(self, outcome: StepOutcome, rate: float, *, is_last: bool) -> None:
        if self.state.position.step % self.config.log_interval == 0 or self.state.position.step == 1 or is_last:
            self._add_row(loss=outcome.loss, lr=rate)

    def _add_row(self, **values: float) -> None:
        position = self.state.position
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        row = {"step": position.step, "epoch": self.epoch_at(position.samples_seen), **finite}
        if self.ranks.is_first:
            self.log.add(**row)
            self.on_log(row)

    def _validate_and_save(self) -> None:
        position, best = self.state.position, False
        if self.ranks.is_first:
            if self.validation is not None:
                measures = self.validation.measures(self.state.ema.model)
                best = measures["val_loss"] < position.best_val_loss
                position.best_val_loss = min(measures["val_loss"], position.best_val_loss)
                position.validations_since_best = 0 if best else position.validations_since_best + 1
                self._add_row(**measures)
            self.log.flush()
            epoch = self.epoch_at(position.samples_seen)
            content = self.state.content(epoch)
            self.folder.save_epoch(
                content, epoch, best=best or self.validation is None, keep_every=self.config.keep_every
            )
        self.ranks.wait()

    def _save_for_resume(self) -> None:
        if self.ranks.is_first:
            self.log.flush()
            self.folder.save_for_resume(self.state.content(self.epoch_at(self.state.position.samples_seen)))
        self.ranks.wait()
