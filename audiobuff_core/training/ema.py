"""The moving average of the weights, which is what restores in the end."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


class ExponentialAverage:
    """Averaged weights with a warm-up, so that a short run is not stuck at its start.

    Attributes:
        model: the averaged copy, in evaluation mode.
        num_updates: updates made so far.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from the weights of `model`."""
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.num_updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards `model` by 1 - min(decay, (1 + n) / (10 + n)), n the number of earlier updates."""
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        averaged: list[Tensor] = [parameter.detach() for parameter in self.model.parameters()]
        current: list[Tensor] = [parameter.detach() for parameter in model.parameters()]
        torch._foreach_lerp_(averaged, current, 1 - decay)
        self.num_updates += 1
