"""Validation that compares like with like: the same segments, noise and times every time."""

from typing import Literal

import torch
from torch import nn

from audiobuff_core.data.dataset import Batch, LatentDataset, collate
from audiobuff_core.models.precision import autocast
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.draws import Draws, draw
from audiobuff_core.training.objective import batch_error, moved, moved_draws

MAX_SEGMENTS = 64


class FixedValidation:
    """The validation loss on up to 64 fixed segments of tracks that training never sees."""

    def __init__(self, dataset: LatentDataset, config: TrainingConfig, device: torch.device) -> None:
        """Draw segments, noise and times once."""
        self.config, self.device = config, device
        self.precision: Literal["auto"] = config.precision  # type: ignore[assignment]
        slots = range(0, len(dataset.slots), max(1, -(-len(dataset.slots) // MAX_SEGMENTS)))
        counters = list(slots)
        self.latents = dataset.standardisers["target"].to(device)
        self.parts: list[tuple[Batch, Draws]] = []
        for first in range(0, len(counters), config.batch_size):
            part = counters[first : first + config.batch_size]
            batch = collate([dataset.segment(slot, config.seed, slot) for slot in part])
            # Counters below zero belong to no training sample.
            draws = draw(config, [-1 - slot for slot in part], batch)
            self.parts.append((moved(batch, device), moved_draws(draws, device)))

    @torch.no_grad()
    def loss(self, model: nn.Module) -> float:
        """The masked mean squared error of `model`'s velocity."""
        total, frames = 0.0, 0
        for batch, draws in self.parts:
            with autocast(self.precision, self.device):
                total += float(batch_error(model, self.config, batch, draws, self.latents).squared)
            frames += batch.num_valid()
        return total / frames
