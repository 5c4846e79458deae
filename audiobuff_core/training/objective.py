"""The training objective: the network's error on each item of a batch."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from audiobuff_core.data.dataset import Batch
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.flow.loss import ScaleLaw, error_ratio_log, scale_surprise, squared_error
from audiobuff_core.flow.path import data_estimate, sample_path
from audiobuff_core.flow.source import make_source, uncertain_source
from audiobuff_core.models.backbone import Prediction
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.model import Standardiser
from audiobuff_core.models.rotary import on_device
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.draws import Draws, with_drops


@dataclass(frozen=True, slots=True, eq=False)
class BatchError:
    """What a network got wrong on each item of a batch; sums of it are divided by the totals of the whole step.

    Attributes:
        squared: squared error of the velocity, averaged over channels, summed over valid frames, [batch].
        num_frames: valid frames, [batch].
        log_ratio: log error ratio of the data estimate, [batch]; 0 where its weight is 0.
        surprise: negative log-likelihood of the error under the predicted scale, averaged and summed as `squared`,
            [batch]; 0 on items that are not the estimate of the source `uncertainty`.
    """

    squared: Float[Tensor, "batch"]
    num_frames: Float[Tensor, "batch"]
    log_ratio: Float[Tensor, "batch"]
    surprise: Float[Tensor, "batch"]


def batch_error(
    model: nn.Module, config: TrainingConfig, batch: Batch, draws: Draws, latents: Standardiser
) -> BatchError:
    """The error of `model`'s velocity at the points that `draws` picks, and of its scale where it estimates.

    The squared error is of standardised latents, in which every channel counts alike; the log ratio is of the
    latents themselves (by `latents`), in which loud channels count more, as they do to the ear.
    """
    sample = sample_path(_sources(model, config, batch, draws), batch.clean, draws.t)
    prediction = _predict(model, batch, draws, sample.x_t, draws.t, draws.tau)
    velocity = only_trained(prediction.velocity, sample.velocity, batch)
    squared = squared_error(velocity, sample.velocity, batch.valid)
    log_ratio, surprise = torch.zeros_like(squared), torch.zeros_like(squared)
    if config.ratio_weight > 0:
        estimate = data_estimate(sample.x_t, velocity, draws.t)
        log_ratio = error_ratio_log(
            latents.from_standard(estimate), latents.from_standard(batch.clean), batch.valid, floor=config.ratio_floor
        )
    if prediction.log_scale is not None:
        # Not through the mean: the likelihood would give up on coefficients that it may call uncertain instead
        # (Seitzer et al. 2022, "On the Pitfalls of Heteroscedastic Uncertainty Estimation").
        error = (velocity - sample.velocity).detach()
        log_scale = only_trained(prediction.log_scale, torch.zeros_like(error), batch)
        law: ScaleLaw = config.scale_law  # type: ignore[assignment]
        surprise = scale_surprise(error, log_scale, batch.valid, law=law) * _estimates(draws)
    return BatchError(squared, batch.valid.sum(dim=1).to(squared.dtype), log_ratio, surprise)


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
    by_frames = error.squared.sum() + config.scale_weight * error.surprise.sum()
    return by_frames / total_frames + config.ratio_weight * error.log_ratio.sum() / total_items


def _estimates(draws: Draws) -> Bool[Tensor, "batch"]:
    """Which items begin at the damaged latent itself: there the network has to say what it knows."""
    return (draws.t == 0) & (draws.tau == 0)


def _sources(
    model: nn.Module, config: TrainingConfig, batch: Batch, draws: Draws
) -> Float[Tensor, "batch frames latent"]:
    """`x_0` of every item; for `uncertainty` drawn around what `model` itself estimates at this moment."""
    if config.source != "uncertainty":
        return make_source(config.source, batch.damaged, draws.noise, draws.tau)  # type: ignore[arg-type]
    x_0 = batch.damaged.clone()
    flowing = (~_estimates(draws)).nonzero()[:, 0]
    if len(flowing):  # only they need to be estimated first
        part, drawn = chosen(batch, flowing), chosen_draws(draws, flowing)
        start = torch.zeros_like(drawn.t)
        with torch.no_grad():
            velocity, log_scale = _predict(model, part, drawn, part.damaged, start, start)
            if log_scale is None:
                raise InvalidConfig("Source uncertainty needs a network that predicts scales: this one does not")
            x_0[flowing] = uncertain_source(part.damaged + velocity, log_scale.exp(), drawn.noise, drawn.tau)
    return x_0


def _predict(model: nn.Module, batch: Batch, draws: Draws, x_t: Tensor, t: Tensor, tau: Tensor) -> Prediction:
    prediction: Prediction = model(
        x_t,
        t,
        tau,
        batch.damaged,
        batch.times,
        batch.valid,
        with_drops(batch.structure, draws.drop[:, 0]),
        with_drops(batch.semantic, draws.drop[:, 1]),
    )
    return prediction


def chosen(batch: Batch, items: Int[Tensor, "items"]) -> Batch:
    """The `items` (indices) of `batch`."""

    def of(stream: SideStream) -> SideStream:
        return SideStream(stream.values[items], stream.times[items], stream.valid[items], stream.dropped[items])

    return Batch(
        clean=batch.clean[items],
        damaged=batch.damaged[items],
        times=batch.times[items],
        valid=batch.valid[items],
        structure=of(batch.structure),
        semantic=of(batch.semantic),
        trained=None if batch.trained is None else batch.trained[items],
    )


def chosen_draws(draws: Draws, items: Int[Tensor, "items"]) -> Draws:
    """The draws of the `items` (indices)."""
    return Draws(draws.noise[items], draws.t[items], draws.tau[items], draws.drop[items])


def moved(batch: Batch, device: torch.device) -> Batch:
    """`batch` on `device`; times stay float64 where the device has it, else float32."""

    def there(stream: SideStream) -> SideStream:
        times = on_device(stream.times, device)
        return SideStream(stream.values.to(device), times, stream.valid.to(device), stream.dropped.to(device))

    return replace(
        batch,
        clean=batch.clean.to(device),
        damaged=batch.damaged.to(device),
        times=on_device(batch.times, device),
        valid=batch.valid.to(device),
        structure=there(batch.structure),
        semantic=there(batch.semantic),
        trained=None if batch.trained is None else batch.trained.to(device),
    )


def moved_draws(draws: Draws, device: torch.device) -> Draws:
    """`draws` on `device`."""
    return Draws(draws.noise.to(device), draws.t.to(device), draws.tau.to(device), draws.drop.to(device))
