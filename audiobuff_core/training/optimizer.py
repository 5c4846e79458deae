"""The optimiser and its schedule."""

import math

import torch
from torch import nn

from audiobuff_core.models.model import parameter_groups
from audiobuff_core.training.config import TrainingConfig


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019), without decay on norms, biases and null tokens."""
    return torch.optim.AdamW(parameter_groups(model, config.weight_decay), lr=config.lr, betas=(0.9, 0.98), fused=True)


def learning_rate(step: int, progress: float, config: TrainingConfig) -> float:
    """The rate of step `step` (from 0): a linear rise over `warmup_steps`, then half a cosine down to 1 % of `lr`.

    Args:
        step: finished steps.
        progress: share of the run that is done, 0 to 1.
        config: options.
    """
    rise = min(1.0, (step + 1) / (config.warmup_steps + 1))
    fall = 0.505 + 0.495 * math.cos(math.pi * min(1.0, progress))
    return config.lr * rise * fall


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group of `optimizer` this rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
