"""Validation that compares like with like: the same segments, noise and times every time."""

from typing import Literal

import torch
from torch import Tensor, nn

from audiobuff_core.data.dataset import Batch, LatentDataset, collate
from audiobuff_core.precision import autocast
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.draws import Draws, draw
from audiobuff_core.training.objective import batch_error, moved, moved_draws

MAX_SEGMENTS = 64
# Upper edges of the times that are told apart, besides t = 0.
BIN_EDGES = (0.25, 0.5, 0.75, 1.0)


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
    def measures(self, model: nn.Module) -> dict[str, float]:
        """The masked mean squared error of `model`'s velocity as `val_loss`, and the same by ranges of t.

        `val_loss/t=0`, `val_loss/t<0.25` (above the range before), ...; ranges without an item are left out. Of a
        network that predicts scales also `val_surprise`, the mean negative log-likelihood of its estimates' errors.
        """
        errors = []
        for batch, draws in self.parts:
            with autocast(self.precision, self.device):
                errors.append((batch_error(model, self.config, batch, draws, self.latents), draws))
        squared = torch.cat([error.squared for error, _ in errors]).cpu().double()
        frames = torch.cat([error.num_frames for error, _ in errors]).cpu().double()
        surprise = torch.cat([error.surprise for error, _ in errors]).cpu().double()
        t, tau = (torch.cat([getattr(draws, name) for _, draws in errors]).cpu() for name in ("t", "tau"))
        found = {"val_loss": float(squared.sum() / frames.sum())}
        for name, chosen in _bins(t).items():
            if chosen.any():
                found[f"val_loss/{name}"] = float(squared[chosen].sum() / frames[chosen].sum())
        estimates = (t == 0) & (tau == 0)
        if self.config.source == "uncertainty" and estimates.any():
            found["val_surprise"] = float(surprise[estimates].sum() / frames[estimates].sum())
        return found


def _bins(t: Tensor) -> dict[str, Tensor]:
    """Which items are in each range of times."""
    lowest = (0.0, *BIN_EDGES[:-1])
    ranges = {f"t<{high:g}": (t > low) & (t <= high) for low, high in zip(lowest, BIN_EDGES, strict=True)}
    return {"t=0": t == 0} | ranges
