"""One optimiser step: micro-batches in, weights and their average moved on, or left alone."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from audiobuff_core.models.model import RestorationModel
from audiobuff_core.precision import Precision, autocast
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.feed import Microbatches
from audiobuff_core.training.objective import batch_error, moved, moved_draws, step_loss
from audiobuff_core.training.optimizer import set_learning_rate
from audiobuff_core.training.state import TrainingState


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What a step was like, the same on all ranks.

    Attributes:
        loss: of the whole step; not finite where `good` is False.
        good: False if the step was skipped because loss or gradient was not finite.
    """

    loss: float
    good: bool


class TrainingStep:
    """Takes optimiser steps; what moves is in `state`."""

    def __init__(self, config: TrainingConfig, state: TrainingState, ranks: Ranks) -> None:
        """Compile the network if asked to, and wrap it for the exchange between ranks, where there are several."""
        self.config, self.state, self.ranks = config, state, ranks
        if isinstance(state.model, RestorationModel):  # the original's has neither option, its config says so
            state.model.vfn.gradient_checkpointing = config.gradient_checkpointing
            if config.compile:
                state.model.vfn.compile_blocks()
        self.network: nn.Module = state.model
        if torch.distributed.is_initialized():
            self.network = DistributedDataParallel(state.model)
        self.network.train()

    def take(self, microbatches: Microbatches, rate: float) -> StepOutcome:
        """Move on by `microbatches`, this rank's share of one step, at this learning rate.

        Weights, average and moments stay as they are when loss or gradient are not finite.

        Args:
            microbatches: of this rank.
            rate: learning rate.
        """
        state = self.state
        set_learning_rate(state.optimizer, rate)
        frames, samples = self.ranks.totals(
            sum(batch.num_valid() for batch, _ in microbatches), sum(len(batch.valid) for batch, _ in microbatches)
        )
        loss = self.ranks.total(self.backward(microbatches, total_frames=frames, total_items=samples))
        good = self._update(math.isfinite(loss))
        state.position.step += 1
        state.position.samples_seen += round(samples)
        state.position.frames_seen += round(frames)
        state.position.skipped_steps += not good
        return StepOutcome(loss, good)

    def backward(self, microbatches: Microbatches, *, total_frames: float, total_items: float) -> float:
        """Gradients of the mean over the whole step, exchanged once; this rank's share of the loss."""
        config, device, share = self.config, self.ranks.device, 0.0
        precision: Precision = config.precision  # type: ignore[assignment]
        latents = self.state.standardisers["target"].to(device)
        for index, (batch, draws) in enumerate(microbatches):
            if isinstance(self.network, DistributedDataParallel):
                self.network.require_backward_grad_sync = index == len(microbatches) - 1
            with autocast(precision, device):
                error = batch_error(self.network, config, moved(batch, device), moved_draws(draws, device), latents)
            loss = step_loss(error, config, total_frames=total_frames, total_items=total_items)
            # DDP averages gradients over ranks, the loss is already divided by the totals of all of them.
            self.state.scaler.scale(loss * self.ranks.world_size).backward()  # type: ignore[no-untyped-call]
            share += float(loss.detach())
        return share

    def _update(self, loss_is_finite: bool) -> bool:
        state = self.state
        state.scaler.unscale_(state.optimizer)
        norm = nn.utils.clip_grad_norm_(state.model.parameters(), self.config.clip_norm)
        good = loss_is_finite and bool(torch.isfinite(norm))
        if good:
            state.scaler.step(state.optimizer)
            state.ema.update(state.model)
        state.scaler.update()
        state.optimizer.zero_grad(set_to_none=True)
        return good
