"""Everything that training must remember, to disk and back."""

from dataclasses import dataclass, fields
from typing import Any

import torch

from audiobuff_core.errors import InvalidCheckpoint
from audiobuff_core.models.model import ModelConfig, Standardisers
from audiobuff_core.models.schema import SCHEMA_VERSION, statistics_tensors
from audiobuff_core.training.config import CHANGEABLE, TrainingConfig
from audiobuff_core.training.ema import ExponentialAverage
from audiobuff_core.training.network import Network


@dataclass(slots=True)
class Position:
    """How far training is; all randomness follows from `samples_seen`.

    Attributes:
        step: finished optimiser steps, skipped ones included.
        samples_seen: samples of all ranks consumed.
        skipped_steps: steps whose loss was not finite.
        best_val_loss: lowest validation loss so far.
        frames_seen: valid target frames of all ranks consumed.
        validations_since_best: validations since the one that was best.
    """

    step: int = 0
    samples_seen: int = 0
    skipped_steps: int = 0
    best_val_loss: float = float("inf")
    frames_seen: int = 0
    validations_since_best: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """The moving parts of a run, and the facts that every checkpoint repeats.

    Attributes:
        model: the network being trained, not wrapped.
        ema: its average.
        optimizer: with its moments.
        scaler: for fp16; disabled otherwise.
        position: how far.
        standardisers: statistics of the streams.
        facts: `model` (sizes), `training` (options) and `meta` (encoders, snapshot digest).
    """

    model: Network
    ema: ExponentialAverage
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    position: Position
    standardisers: Standardisers
    facts: dict[str, Any]

    def content(self, epoch: int) -> dict[str, Any]:
        """A checkpoint: the original's keys and ours, tensors and primitives only."""
        state, ema_state = self.model.state_dict(), self.ema.model.state_dict()
        return {
            "epoch": epoch,
            "model_state": state,
            "ema_state": ema_state,
            "optimizer_state": self.optimizer.state_dict(),
            "model_backbone_state": _part(state, "vfn."),
            "model_aligner_state": _part(state, "aligner."),
            "ema_backbone_state": _part(ema_state, "vfn."),
            "ema_aligner_state": _part(ema_state, "aligner."),
            "meta": _original_meta(self.facts),
            "schema_version": SCHEMA_VERSION,
            "architecture": self.facts["training"]["architecture"],
            "config": self.facts,
            "train_state": {name: getattr(self.position, name) for name in Position.__slots__},
            "scaler_state": self.scaler.state_dict(),
            # All that the schedule and the draws depend on: both are pure functions of it.
            "scheduler_state": {"step": self.position.step, "samples_seen": self.position.samples_seen},
            "rng_state": {"seed": self.facts["training"]["seed"], "samples_seen": self.position.samples_seen},
            "ema_updates": self.ema.num_updates,
            **statistics_tensors(self.standardisers),
            "manifest_hash": self.facts["meta"]["snapshot_digest"],
            "metrics": {"val_loss": self.position.best_val_loss},
        }

    def restore(self, content: dict[str, Any], place: str) -> None:
        """Take over a checkpoint of the same run.

        Raises:
            InvalidCheckpoint: it is of other sizes, options or data, or lacks something.
        """
        if "config" not in content or not {"model", "meta", "training"} <= set(content["config"]):
            raise InvalidCheckpoint(f"{place} does not say what run it is of: use another --checkpoint_dir")
        if wrong := _contradictions(content["config"], self.facts):
            raise InvalidCheckpoint(
                f"{place} contradicts this run: {'; '.join(wrong)}. Use the same options and latents, or another "
                "--checkpoint_dir (--init_from begins with its weights)"
            )
        try:
            self.model.load_state_dict(content["model_state"])
            self.ema.model.load_state_dict(content["ema_state"])
            self.ema.num_updates = content["ema_updates"]
            self.optimizer.load_state_dict(content["optimizer_state"])
            self.scaler.load_state_dict(content["scaler_state"])
            for name, value in content["train_state"].items():
                setattr(self.position, name, value)
        except (KeyError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:150]
            raise InvalidCheckpoint(f"{place} is not whole ({reason}): use another --checkpoint_dir") from error


def _contradictions(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """What differs between a checkpoint and a run and may not, with both values."""
    # Options that came after the checkpoint have what it was trained with as their defaults.
    sizes = {field.name: field.default for field in fields(ModelConfig) if field.name in ours["model"]}
    pairs = [
        (sizes | theirs["model"], ours["model"]),
        (theirs["meta"], ours["meta"]),
        (TrainingConfig().as_dict() | theirs["training"], ours["training"]),
    ]
    wrong: dict[str, str] = {}
    for there, here in pairs:
        for name in sorted({*there, *here} - CHANGEABLE):
            if there.get(name) != here.get(name):
                wrong.setdefault(name, f"{name} is {there.get(name)} there and {here.get(name)} here")
    return list(wrong.values())


def _part(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _original_meta(facts: dict[str, Any]) -> dict[str, Any]:
    model = facts["model"]
    return {
        "profile": facts["meta"]["profile"],
        "in_channels": model.get("latent_dim", model.get("in_channels")),
        "d_model": model["d_model"],
        "n_heads": model["n_heads"],
        "depth": model["depth"],
        "xcodec_dim": model.get("structure_dim", model.get("xcodec_dim")),
        "mae_dim": model.get("semantic_dim", model.get("mae_dim")),
        "p_uncond": facts["training"]["p_uncond"],
    }
