"""The training objective: the network's error on one batch."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from audiobuff_core.data.dataset import Batch
from audiobuff_core.flow.loss import error_ratio_log, squared_error_sum
from audiobuff_core.flow.path import data_estimate, sample_path
from audiobuff_core.flow.source import make_source
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.model import Standardiser
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.draws import Draws, with_drops


@dataclass(frozen=True, slots=True, eq=False)
class BatchError:
    """Sums over a batch, to be divided by the totals of the whole step.

    Attributes:
        squared: squared error of the velocity, averaged over channels, summed over valid frames.
        log_ratio: log error ratios of the data estimates, summed over items; 0 where its weight is 0.
    """

    squared: Float[Tensor, ""]
    log_ratio: Float[Tensor, ""]


def batch_error(
    model: nn.Module, config: TrainingConfig, batch: Batch, draws: Draws, latents: Standardiser
) -> BatchError:
    """The error of `model`'s velocity at the points that `draws` picks.

    The squared error is of standardised latents, in which every channel counts alike; the log ratio is of the
    latents themselves (by `latents`), in which loud channels count more, as they do to the ear.
    """
    x_0 = make_source(config.source, batch.damaged, draws.noise, draws.tau)  # type: ignore[arg-type]
    sample = sample_path(x_0, batch.clean, draws.t)
    velocity = model(
        sample.x_t,
        draws.t,
        draws.tau,
        batch.damaged,
        batch.times,
        batch.valid,
        with_drops(batch.structure, draws.drop[:, 0]),
        with_drops(batch.semantic, draws.drop[:, 1]),
    )
    velocity = only_trained(velocity, sample.velocity, batch)
    squared = squared_error_sum(velocity, sample.velocity, batch.valid)
    if config.ratio_weight == 0:
        return BatchError(squared, torch.zeros_like(squared))
    estimate = data_estimate(sample.x_t, velocity, draws.t)
    ratios = error_ratio_log(
        latents.from_standard(estimate), latents.from_standard(batch.clean), batch.valid, floor=config.ratio_floor
    )
    return BatchError(squared, ratios.sum())


def only_trained(
    values: Float[Tensor, "batch frames latent"], truth: Float[Tensor, "batch frames latent"], batch: Batch
) -> Float[Tensor, "batch frames latent"]:
    """`values`, with `truth` where a recording has nothing to teach: above its band no answer is wrong."""
    if batch.trained is None:
        return values
    return torch.where(batch.trained[:, None], values, truth.to(values.dtype))


def step_loss(
    error: BatchError, config: TrainingConfig, *, total_frames: float, total_items: float
) -> Float[Tensor, ""]:
    """The share of one micro-batch in the loss of a step with these totals over ranks and micro-batches."""
    return error.squared / total_frames + config.ratio_weight * error.log_ratio / total_items


def moved(batch: Batch, device: torch.device) -> Batch:
    """`batch` on `device`; times stay float64 where the device has it, else float32."""
    times = batch.times if device.type != "mps" else batch.times.float()

    def there(stream: SideStream) -> SideStream:
        side_times = stream.times if device.type != "mps" else stream.times.float()
        return SideStream(
            stream.values.to(device), side_times.to(device), stream.valid.to(device), stream.dropped.to(device)
        )

    return replace(
        batch,
        clean=batch.clean.to(device),
        damaged=batch.damaged.to(device),
        times=times.to(device),
        valid=batch.valid.to(device),
        structure=there(batch.structure),
        semantic=there(batch.semantic),
        trained=None if batch.trained is None else batch.trained.to(device),
    )


def moved_draws(draws: Draws, device: torch.device) -> Draws:
    """`draws` on `device`."""
    return Draws(draws.noise.to(device), draws.t.to(device), draws.tau.to(device), draws.drop.to(device))
