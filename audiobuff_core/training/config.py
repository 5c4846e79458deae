"""What a training run is told, and the profiles that say it in one word. Imports no torch."""

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from audiobuff_core.errors import InvalidConfig
from audiobuff_core.seeding import digest

Profile = Literal["smoke", "poc", "full", "demo", "builtin", "base", "large", "test"]
PROFILE_NAMES: tuple[str, ...] = get_args(Profile)
CODE_VERSION = "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """One training run.

    Attributes:
        epochs: passes over the data; training ends there or at `max_steps`, whichever comes first.
        fresh_every: draw the damage anew every so many epochs; 0 keeps what was prepared.
        max_steps: optimiser steps, or None for no limit but `epochs`.
        batch_size: segments a micro-batch on each rank.
        grad_accum_steps: micro-batches a step.
        num_workers: threads that read ahead, a step each; 0 reads in line.
        segment_frames: length of a segment in target latent frames.
        lr: peak learning rate.
        weight_decay: of matrices; norms and biases have none.
        warmup_steps: linear rise of the learning rate, before its cosine.
        clip_norm: largest norm of the gradient.
        ema_decay: of the averaged weights, after a warm-up of (1 + n) / (10 + n).
        precision: arithmetic of the network: auto, bf16, fp16 or fp32.
        d_model: width of the residual stream.
        n_heads: attention heads.
        depth: blocks.
        hidden_dim: inner width of the gated MLP.
        kernel_frames: reach of the convolutions, odd.
        magnitude_input: show the network the loudness around every coefficient too; for codecs of frequencies.
        shared_modulation: one modulation for all blocks: a small network of half the size.
        fusion_every: fuse the side streams in every so many-th block.
        p_uncond: probability that both side streams are replaced by their nulls.
        p_drop_stream: probability that one alone is.
        source: where the flow starts: `noise`, `damaged` or `uncertainty` (see `flow.source`); another than the
            profile's brings the tau_max, p_tau, start_share, inference_steps and inference_tau that suit it.
        tau_max: largest share of noise in the source `damaged`, largest multiple of the scale in `uncertainty`.
        p_tau: probability that an item has any noise in its source.
        times: `logit_normal` or `uniform`.
        start_share: probability of t = 0.
        scale_law: likelihood that trains the scale of the source `uncertainty`: gaussian or laplace.
        scale_weight: weight of that likelihood.
        ratio_weight: weight of the log error ratio beside the squared error.
        ratio_floor: error ratio below which an item is good enough; small values guard clean items more and let
            damaged ones learn more slowly.
        log_interval: steps between log rows.
        save_every_epochs: epochs between validations and kept checkpoints.
        checkpoint_seconds: longest time without a checkpoint.
        max_bad_steps: skipped steps in a row (loss not finite) after which training gives up.
        inference_steps: solver steps that the export recommends.
        inference_tau: how much may be invented that it recommends; None: 1 from `noise`, 0 from `damaged`, `tau_max`
            from `uncertainty`.
        keep_every: checkpoints of epochs that this divides are kept for good, beside the last two; 0 keeps none.
        patience: validations in a row without a better loss after which training ends; 0 never ends it early.
        architecture: lcfm-dit-v1, or lcfm-dit-v0, the original's.
        gradient_checkpointing: keep only the blocks' inputs for the backward pass and compute the rest again: about a
            third more time, far less memory.
        compile: compile the blocks by torch.compile; needs a C++ compiler on the CPU.
        seed: of everything.
    """

    epochs: int = 8
    fresh_every: int = 0
    max_steps: int | None = None
    batch_size: int = 4
    grad_accum_steps: int = 4
    num_workers: int = 2
    segment_frames: int = 256
    lr: float = 1e-4
    weight_decay: float = 1e-5
    warmup_steps: int = 200
    clip_norm: float = 1.0
    ema_decay: float = 0.9999
    precision: str = "auto"
    d_model: int = 1024
    n_heads: int = 16
    depth: int = 12
    hidden_dim: int = 2816
    kernel_frames: int = 5
    magnitude_input: bool = False
    shared_modulation: bool = False
    fusion_every: int = 1
    p_uncond: float = 0.15
    p_drop_stream: float = 0.1
    source: str = "damaged"
    tau_max: float = 0.5
    p_tau: float = 0.5
    times: str = "logit_normal"
    start_share: float = 0.25
    scale_law: str = "gaussian"
    scale_weight: float = 0.1
    ratio_weight: float = 0.0
    ratio_floor: float = 0.05
    log_interval: int = 25
    save_every_epochs: int = 1
    checkpoint_seconds: float = 300.0
    max_bad_steps: int = 20
    inference_steps: int = 8
    inference_tau: float | None = None
    keep_every: int = 0
    patience: int = 0
    architecture: str = "lcfm-dit-v1"
    gradient_checkpointing: bool = False
    compile: bool = False
    seed: int = 1337

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            InvalidConfig: naming all that is wrong at once.
        """
        wrong = [
            f"{name} {getattr(self, name)} (expected at least {least})"
            for name, least in _LEAST.items()
            if getattr(self, name) is not None and not least <= getattr(self, name) < math.inf
        ]
        wrong += [
            f"{name} {getattr(self, name)} (expected 0 to 1)"
            for name in ("p_uncond", "p_drop_stream", "tau_max", "p_tau", "start_share", "ema_decay", "inference_tau")
            if getattr(self, name) is not None and not 0 <= getattr(self, name) <= 1
        ]
        wrong += [
            f"{name} {getattr(self, name)!r} (expected {' or '.join(known)})"
            for name, known in _CHOICES.items()
            if getattr(self, name) not in known
        ]
        if self.n_heads > 0 and self.d_model % (2 * self.n_heads):
            wrong.append(f"d_model {self.d_model} (expected a multiple of twice n_heads {self.n_heads})")
        if self.kernel_frames % 2 == 0:
            wrong.append(f"kernel_frames {self.kernel_frames} (expected an odd number)")
        if self.architecture == "lcfm-dit-v0" and self.source != "noise":
            wrong.append(f"source {self.source!r} (lcfm-dit-v0 sees no damaged latent and starts at noise)")
        if self.architecture == "lcfm-dit-v0" and (self.gradient_checkpointing or self.compile):
            wrong.append("gradient_checkpointing or compile (lcfm-dit-v0 has neither)")
        if wrong:
            raise InvalidConfig(f"Training options that make no sense: {'; '.join(wrong)}")

    def as_dict(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


_LEAST: dict[str, float] = {
    "epochs": 1, "max_steps": 1, "batch_size": 1, "grad_accum_steps": 1, "num_workers": 0, "segment_frames": 2,
    "lr": 0.0, "weight_decay": 0.0, "warmup_steps": 0, "clip_norm": 1e-9, "d_model": 4, "n_heads": 1, "depth": 1,
    "hidden_dim": 1, "kernel_frames": 1, "fusion_every": 1, "log_interval": 1, "save_every_epochs": 1,
    "checkpoint_seconds": 0.0, "max_bad_steps": 1, "inference_steps": 1, "ratio_weight": 0.0,
    "scale_weight": 0.0, "ratio_floor": 1e-9, "keep_every": 0, "patience": 0, "fresh_every": 0,
}  # fmt: skip
_CHOICES = {
    "precision": ("auto", "bf16", "fp16", "fp32"),
    "source": ("noise", "damaged", "uncertainty"),
    "scale_law": ("gaussian", "laplace"),
    "times": ("logit_normal", "uniform"),
    "architecture": ("lcfm-dit-v1", "lcfm-dit-v0"),
}
# What a resumed run may be told anew: how much at once, how long, and when to look and save.
CHANGEABLE = frozenset({
    "epochs", "max_steps", "batch_size", "grad_accum_steps", "num_workers", "log_interval", "save_every_epochs",
    "checkpoint_seconds", "max_bad_steps", "keep_every", "patience", "gradient_checkpointing", "compile",
})  # fmt: skip
# How the original trained, where nothing else is asked for.
_ORIGINAL_WAYS: dict[str, Any] = {"source": "noise", "times": "uniform", "start_share": 0.0, "p_drop_stream": 0.0}

_SMALL: dict[str, Any] = {
    "grad_accum_steps": 1, "num_workers": 0, "segment_frames": 128, "warmup_steps": 20, "p_tau": 0.0, "tau_max": 0.0,
    "times": "uniform", "start_share": 0.5, "inference_steps": 2,
}  # fmt: skip

PROFILES: dict[str, TrainingConfig] = {
    "smoke": TrainingConfig(epochs=1, batch_size=2, grad_accum_steps=1, precision="fp32"),
    "poc": TrainingConfig(),
    "full": TrainingConfig(epochs=100, batch_size=8, num_workers=4, grad_accum_steps=8),
    # Two minutes on two cores: a small network that starts at the damaged latent and first learns to predict.
    "demo": TrainingConfig(
        epochs=1000, max_steps=140, batch_size=16, lr=1e-3, weight_decay=0.01, d_model=256, n_heads=4, depth=4,
        hidden_dim=512, ratio_weight=0.3, checkpoint_seconds=30.0, log_interval=5, save_every_epochs=4,
        **(_SMALL | {"num_workers": 1}),
    ),
    # The model in the box: about two hours on two cores, at most 16 MB in half precision.
    "builtin": TrainingConfig(
        epochs=1000, max_steps=3600, batch_size=8, grad_accum_steps=1, num_workers=1, lr=1e-3, weight_decay=0.01,
        warmup_steps=100, ema_decay=0.999, d_model=256, n_heads=4, depth=6, hidden_dim=512, magnitude_input=True,
        shared_modulation=True, fusion_every=3, source="uncertainty", tau_max=1.0, p_tau=1.0, start_share=0.8,
        ratio_weight=0.1, ratio_floor=1e-4, inference_steps=8, inference_tau=0.0, log_interval=10, save_every_epochs=1,
    ),
    # Seconds: for the tests.
    "test": TrainingConfig(
        epochs=1000, max_steps=4, batch_size=2, lr=1e-3, d_model=32, n_heads=2, depth=1, hidden_dim=32,
        precision="fp32", log_interval=1, **(_SMALL | {"segment_frames": 32, "warmup_steps": 1}),
    ),
}  # fmt: skip

# The model in the box, larger: for GPUs and the published encoders, 62 and 370 million parameters on their latents.
PROFILES["base"] = replace(
    PROFILES["builtin"], max_steps=200_000, batch_size=32, num_workers=4, lr=4e-4, warmup_steps=2000, ema_decay=0.9999,
    d_model=512, n_heads=8, depth=12, hidden_dim=1408, fusion_every=2, magnitude_input=False,
)  # fmt: skip
PROFILES["large"] = replace(
    PROFILES["base"], max_steps=400_000, lr=2e-4, d_model=1024, n_heads=16, depth=20, hidden_dim=2816,
)  # fmt: skip

# What another source than the profile's wants besides, unless it is given too. The estimate of `uncertainty` has all of
# t = 0, tau = 0, and its flow no use for a source without noise; noise has to be taken away in many steps.
_OF_SOURCE: dict[str, dict[str, Any]] = {
    "noise": {"start_share": 0.0, "inference_steps": 16, "inference_tau": None},
    "damaged": {"inference_tau": None},
    "uncertainty": {"tau_max": 1.0, "p_tau": 1.0, "start_share": 0.5, "inference_steps": 8, "inference_tau": None},
}


def config_for(profile: str, overrides: dict[str, Any]) -> TrainingConfig:
    """The config of `profile` with `overrides` (None values are ignored).

    A source other than the profile's brings the noise, times and steps that suit it, unless they are overridden too.

    Raises:
        InvalidConfig: an unknown profile or option, or values that make no sense.
    """
    if profile not in PROFILES:
        raise InvalidConfig(f"Profile {profile!r}: expected one of {', '.join(PROFILE_NAMES)}")
    known = {field.name for field in fields(TrainingConfig)}
    given = {name: value for name, value in overrides.items() if value is not None}
    if given.get("architecture") == "lcfm-dit-v0":
        given = _ORIGINAL_WAYS | given
    if unknown := sorted(set(given) - known):
        raise InvalidConfig(f"Unknown training options: {', '.join(unknown)}")
    base = PROFILES[profile]
    own = _OF_SOURCE.get(given["source"], {}) if given.get("source", base.source) != base.source else {}
    return replace(base, **(own | given))


def training_key(
    snapshot_digest: str,
    *,
    profile: str,
    seed: int,
    num_processes: int = 1,
    overrides: dict[str, Any] | None = None,
    begun_with: str | None = None,
) -> str:
    """The name of the checkpoint that this training makes: 16 hex digits of all that decides its weights.

    `begun_with` names the weights that it begins with, None for a new network.
    """
    config = config_for(profile, {**(overrides or {}), "seed": seed})
    start = () if begun_with is None else (begun_with,)
    return digest("checkpoint", CODE_VERSION, snapshot_digest, config.as_dict(), num_processes, *start)[:16]
