"""What training draws for each sample: a pure function of (seed, counter), so that resume is exact."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from audiobuff_core.data.dataset import Batch
from audiobuff_core.flow.time import draw_times
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.seeding import torch_generator
from audiobuff_core.training.config import TrainingConfig

NOISY_START_SHARE = 0.2
"""Of the items at t = 0 of the source `uncertainty`, the share that starts the flow; the others are its estimate."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """The randomness of a batch.

    Attributes:
        noise: standard normal, [batch, frames, latent].
        t: times of the flow, [batch].
        tau: share of noise in the source (of scale, where that is uncertainty), [batch].
        drop: which side streams are dropped, [batch, 2] (structure, semantic).
    """

    noise: Float[Tensor, "batch frames latent"]
    t: Float[Tensor, "batch"]
    tau: Float[Tensor, "batch"]
    drop: Tensor


def draw(config: TrainingConfig, counters: Sequence[int], batch: Batch) -> Draws:
    """The draws of the samples `counters`, which are those of `batch`."""
    rows = [_draw_one(config, counter, batch.clean.shape[1:]) for counter in counters]
    noise, t, tau, drop = (torch.stack(column) for column in zip(*rows, strict=True))
    return Draws(noise, t, tau, drop)


def _draw_one(config: TrainingConfig, counter: int, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch_generator("training draws", config.seed, counter)
    (t,) = draw_times(1, config.times, generator, start_share=config.start_share)  # type: ignore[arg-type]
    has_tau, tau, joint, alone_structure, alone_semantic = torch.rand(5, generator=generator)
    both = joint < config.p_uncond
    drop = torch.stack(
        [both | (alone_structure < config.p_drop_stream), both | (alone_semantic < config.p_drop_stream)]
    )
    if config.source == "noise":
        tau = torch.tensor(1.0)
    else:
        estimates = config.source == "uncertainty" and t == 0
        p_tau = config.p_tau * NOISY_START_SHARE if estimates else config.p_tau
        tau = torch.where(has_tau < p_tau, tau * config.tau_max, torch.zeros(()))
    return torch.randn(shape, generator=generator), t, tau, drop


def with_drops(stream: SideStream, dropped: Tensor) -> SideStream:
    """`stream` with `dropped` [batch] set."""
    return replace(stream, dropped=dropped)
