"""From a snapshot to a trained, exported network."""

import math
import time
from collections.abc import Callable
from typing import Any

import torch

from audiobuff_core.data.dataset import LatentDataset
from audiobuff_core.data.snapshot import Snapshot, load_snapshot
from audiobuff_core.files import exists, join, read_json, write_json
from audiobuff_core.models.model import ModelConfig, RestorationModel
from audiobuff_core.models.precision import Precision, resolve_precision
from audiobuff_core.models.schema import CONFIG_NAME, WEIGHTS_NAME, write_export
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.ema import ExponentialAverage
from audiobuff_core.training.feed import Feed
from audiobuff_core.training.log import TrainingLog
from audiobuff_core.training.optimizer import make_optimizer
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
) -> dict[str, Any]:
    """Train on the snapshot, resuming from the newest checkpoint in the folder, and export the best weights.

    Args:
        config: options.
        profile: their name, for the record.
        snapshot_url: the training snapshot.
        folder_url: where checkpoints, log and export go.
        ranks: where this process stands.
        on_log: told each row of the log.

    Returns:
        What `done.json` says: {weights_sha256, steps, val_loss, parameters, frames_seen, skipped_steps}. It is
        written last; a run that finds it returns it at once.
    """
    done_place = join(folder_url, DONE_NAME)
    if all(exists(join(folder_url, name)) for name in (DONE_NAME, WEIGHTS_NAME, CONFIG_NAME)):
        return dict(read_json(done_place))
    started = time.monotonic()
    snapshot = load_snapshot(snapshot_url)
    trainer = _trainer(config, profile, snapshot, folder_url, ranks, on_log)
    first_step = trainer.state.position.step
    trainer.run()
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
    return _finish(trainer)


def _trainer(
    config: TrainingConfig,
    profile: str,
    snapshot: Snapshot,
    folder_url: str,
    ranks: Ranks,
    on_log: Callable[[dict[str, Any]], None],
) -> Trainer:
    dataset = LatentDataset(snapshot, "train", segment_frames=config.segment_frames)
    state = _state(config, profile, snapshot, dataset, ranks)
    folder = CheckpointFolder(folder_url)
    if (newest := folder.newest()) is not None:
        state.restore(*newest)
    has_validation = any(item.split == "validation" for item in snapshot.items)
    validation = (
        FixedValidation(
            LatentDataset(snapshot, "validation", segment_frames=config.segment_frames), config, ranks.device
        )
        if has_validation and ranks.is_first
        else None
    )
    log = TrainingLog(folder_url, last_step=state.position.step)
    return Trainer(config, state, Feed(dataset, config, ranks), validation, ranks, folder, log, on_log)


def _state(
    config: TrainingConfig, profile: str, snapshot: Snapshot, dataset: LatentDataset, ranks: Ranks
) -> TrainingState:
    encoders = dataset.encoders
    model_config = ModelConfig(
        latent_dim=dataset.codec.latent_dim,
        structure_dim=encoders["structure"].feature_dim,  # type: ignore[union-attr]
        semantic_dim=encoders["semantic"].feature_dim,  # type: ignore[union-attr]
        d_model=config.d_model,
        n_heads=config.n_heads,
        depth=config.depth,
        hidden_dim=config.hidden_dim,
        kernel_frames=config.kernel_frames,
        predicts_scale=config.source == "uncertainty",
    )
    torch.manual_seed(config.seed)
    model = RestorationModel(model_config).to(ranks.device)
    precision: Precision = config.precision  # type: ignore[assignment]
    scaler = torch.amp.GradScaler(ranks.device.type, enabled=resolve_precision(precision, ranks.device) == "fp16")
    meta = {
        "profile": profile,
        "seed": config.seed,
        "snapshot_digest": snapshot.digest,
        "encoders": snapshot.encoders.as_dict(),
        "identities": {stream: encoder.identity.as_dict() for stream, encoder in encoders.items()},
        "source": config.source,
        "inference": {
            "steps": config.inference_steps,
            "tau": {"noise": 1.0, "damaged": 0.0, "uncertainty": config.tau_max}[config.source],
            "window_frames": config.segment_frames,
        },
    }
    facts = {"model": model_config.as_dict(), "training": config.as_dict(), "meta": meta}
    return TrainingState(
        model=model,
        ema=ExponentialAverage(model, config.ema_decay),
        optimizer=make_optimizer(model, config),
        scaler=scaler,
        position=Position(),
        standardisers=dataset.standardisers,
        facts=facts,
    )


def _finish(trainer: Trainer) -> dict[str, Any]:
    """Export the averaged weights of the best checkpoint, and say so last."""
    best = trainer.folder.best()
    config = ModelConfig.from_dict(best["config"]["model"])
    url = trainer.folder.url
    weights_sha256 = write_export(url, best["ema_state"], config, trainer.state.standardisers, best["config"]["meta"])
    position = trainer.state.position
    done = {
        "weights_sha256": weights_sha256,
        "steps": position.step,
        "val_loss": position.best_val_loss if math.isfinite(position.best_val_loss) else None,
        "parameters": trainer.state.model.num_parameters(),
        "frames_seen": position.frames_seen,
        "skipped_steps": position.skipped_steps,
    }
    write_json(join(url, DONE_NAME), done)
    return done
