"""From a snapshot to a trained, exported network."""

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from audiobuff_core.data.dataset import LatentDataset
from audiobuff_core.data.snapshot import Snapshot, load_snapshot
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.files import exists, join, read_json, write_json
from audiobuff_core.models.schema import CONFIG_NAME, WEIGHTS_NAME
from audiobuff_core.models.stored import StoredWeights
from audiobuff_core.precision import Precision, resolve_precision
from audiobuff_core.seeding import digest
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.ema import ExponentialAverage
from audiobuff_core.training.feed import Feed
from audiobuff_core.training.fresh import FreshDamage
from audiobuff_core.training.interruption import TrainingInterrupted
from audiobuff_core.training.log import TrainingLog
from audiobuff_core.training.memory import explained_shortage
from audiobuff_core.training.network import export_network, make_network
from audiobuff_core.training.optimizer import make_optimizer
from audiobuff_core.training.plot import write_loss_plot
from audiobuff_core.training.start import encoder_lines, start_digest, start_statistics, take_over
from audiobuff_core.training.state import Position, TrainingState
from audiobuff_core.training.storage import CheckpointFolder
from audiobuff_core.training.trainer import Trainer
from audiobuff_core.training.validation import FixedValidation

DONE_NAME = "done.json"
TIMING_NAME = "timing.json"


def train(
    config: TrainingConfig,
    *,
    profile: str,
    snapshot_url: str,
    folder_url: str,
    ranks: Ranks,
    on_log: Callable[[dict[str, Any]], None],
    start: StoredWeights | None = None,
    plot: bool = False,
) -> dict[str, Any]:
    """Train on the snapshot, resuming from the newest checkpoint in the folder, and export the best weights.

    Args:
        config: options.
        profile: their name, for the record.
        snapshot_url: the training snapshot.
        folder_url: where checkpoints, log and export go.
        ranks: where this process stands.
        on_log: told each row of the log.
        start: weights to begin with, where the folder has no checkpoint yet.
        plot: draw the losses as `loss.png` when training ends or is stopped.

    Returns:
        What `done.json` says: {weights_sha256, steps, val_loss, parameters, frames_seen, skipped_steps, run}. It is
        written last; the same run that finds it returns it at once, one with other options goes on or is refused.
        Ranks other than the first return nothing.
    """
    started = time.monotonic()
    snapshot = load_snapshot(snapshot_url)
    identity = _identity(config, snapshot.digest, start)
    done = _finished(folder_url, identity)
    _require_agreement(ranks, folder_url, int(identity[:12], 16), done is not None)  # and all have looked
    if done is not None:
        return done
    stopped = None
    with explained_shortage(config):
        trainer = _trainer(config, profile, snapshot, folder_url, ranks, on_log, start)
        first_step = trainer.state.position.step
        _require_agreement(ranks, folder_url, first_step)
        try:
            trainer.run()
        except TrainingInterrupted as interruption:
            stopped = interruption
    if plot and ranks.is_first and trainer.log.rows:
        write_loss_plot(folder_url, trainer.log.rows)
    if stopped is not None:
        raise stopped
    seconds = time.monotonic() - started
    ranks.wait()
    if not ranks.is_first:
        return {}
    timing = {
        "seconds": seconds,
        "waited_seconds": trainer.feed.waited_seconds,
        "steps": trainer.state.position.step - first_step,
        "world_size": ranks.world_size,
    }
    write_json(join(folder_url, TIMING_NAME), timing)
    return _finish(trainer, identity)


def _finished(folder_url: str, identity: str) -> dict[str, Any] | None:
    """What an earlier, whole training of the same run left to say."""
    if not all(exists(join(folder_url, name)) for name in (DONE_NAME, WEIGHTS_NAME, CONFIG_NAME)):
        return None
    done = dict(read_json(join(folder_url, DONE_NAME)))
    return done if done.get("run") == identity else None


def _identity(config: TrainingConfig, snapshot_digest: str, start: StoredWeights | None) -> str:
    begun_with = () if start is None else (start_digest(start),)
    return digest("run", snapshot_digest, config.as_dict(), *begun_with)


def _require_agreement(ranks: Ranks, folder_url: str, *numbers: int) -> None:
    """Wait for all ranks, and see that they are about to do the same.

    Raises:
        InvalidConfig: they are not.
    """
    if not ranks.agree(*numbers):
        raise InvalidConfig(
            f"The {ranks.world_size} ranks disagree about options, latents or checkpoints (rank {ranks.rank} looks in "
            f"{folder_url}): give all launchers the same flags and a --checkpoint_dir that all of them see"
        )


def _trainer(
    config: TrainingConfig,
    profile: str,
    snapshot: Snapshot,
    folder_url: str,
    ranks: Ranks,
    on_log: Callable[[dict[str, Any]], None],
    start: StoredWeights | None = None,
) -> Trainer:
    dataset = LatentDataset(snapshot, "train", segment_frames=config.segment_frames)
    dataset.standardisers = start_statistics(start, dataset.encoders, dataset.standardisers)
    state = _state(config, profile, snapshot, dataset, ranks, start)
    folder = CheckpointFolder(folder_url)
    if ranks.is_first:
        folder.require_writable()
    if (newest := folder.newest()) is not None:
        state.restore(*newest)
    validation = None
    if ranks.is_first and any(item.split == "validation" for item in snapshot.items):
        held = LatentDataset(snapshot, "validation", segment_frames=config.segment_frames)
        held.standardisers = dataset.standardisers
        validation = FixedValidation(held, config, ranks.device)
    log = TrainingLog(folder_url, last_step=state.position.step)
    damage = FreshDamage(dataset, snapshot, config, ranks, folder_url)
    return Trainer(config, state, Feed(damage, config, ranks), validation, ranks, folder, log, on_log)


def _state(
    config: TrainingConfig,
    profile: str,
    snapshot: Snapshot,
    dataset: LatentDataset,
    ranks: Ranks,
    start: StoredWeights | None,
) -> TrainingState:
    torch.manual_seed(config.seed)
    model = make_network(config, dataset.dims)
    meta = _meta(config, profile, snapshot, dataset)
    if start is not None:
        taken = take_over(model, start)
        meta["init_from"] = {"architecture": start.architecture, "sha256": start_digest(start)}
        if start.facts.get("meta", {}).get("inference", {}).get("denoised_first"):
            meta["inference"]["denoised_first"] = True  # else whoever goes on from it would have to learn what noise is
        if ranks.is_first:
            print("\n".join([*taken.lines(start.place), *encoder_lines(start, dataset.encoders)]), file=sys.stderr)
    model = model.to(ranks.device)
    precision: Precision = config.precision  # type: ignore[assignment]
    return TrainingState(
        model=model,
        ema=ExponentialAverage(model, config.ema_decay),
        optimizer=make_optimizer(model, config),
        scaler=torch.amp.GradScaler(ranks.device.type, enabled=resolve_precision(precision, ranks.device) == "fp16"),
        position=Position(),
        standardisers=dataset.standardisers,
        facts={"model": model.config.as_dict(), "training": config.as_dict(), "meta": meta},
    )


def _meta(config: TrainingConfig, profile: str, snapshot: Snapshot, dataset: LatentDataset) -> dict[str, Any]:
    own_tau = {"noise": 1.0, "damaged": 0.0, "uncertainty": config.tau_max}[config.source]
    return {
        "profile": profile,
        "seed": config.seed,
        "snapshot_digest": snapshot.digest,
        "encoders": snapshot.encoders.as_dict(),
        "identities": {stream: encoder.identity.as_dict() for stream, encoder in dataset.encoders.items()},
        "source": config.source,
        "inference": {
            "steps": config.inference_steps,
            "tau": own_tau if config.inference_tau is None else config.inference_tau,
            "window_frames": config.segment_frames,
        },
    }


def _finish(trainer: Trainer, identity: str) -> dict[str, Any]:
    """Export the averaged weights of the best checkpoint, and say so last."""
    best, url, state = trainer.folder.best(), trainer.folder.url, trainer.state
    weights_sha256 = export_network(url, state.model, best["ema_state"], state.standardisers, best["config"]["meta"])
    position = state.position
    done = {
        "weights_sha256": weights_sha256,
        "steps": position.step,
        "val_loss": position.best_val_loss if math.isfinite(position.best_val_loss) else None,
        "parameters": trainer.state.model.num_parameters(),
        "frames_seen": position.frames_seen,
        "skipped_steps": position.skipped_steps,
        "run": identity,
    }
    write_json(join(url, DONE_NAME), done)
    trainer.feed.damage.remove()
    return done
