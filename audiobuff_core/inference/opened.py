"""A model made ready to restore, whoever trained it: this project or the original."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from audiobuff_core.codecs.registry import EncoderChoice, load_codec, load_feature_encoder
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.files import exists, join, read_bytes
from audiobuff_core.inference.checkpoints import LegacyCheckpoint, Weights
from audiobuff_core.inference.legacy_network import LegacyNetwork
from audiobuff_core.inference.loading import Checkpoint, is_export, load_checkpoint
from audiobuff_core.inference.trust import Trust, read_trust
from audiobuff_core.models.model import Standardiser, Standardisers
from audiobuff_core.models.schema import TRUST_NAME, WEIGHTS_NAME

# The original's inference defaults, and the encoders that its files do not name.
LEGACY_INFERENCE: Final = {"steps": 32, "tau": 1.0, "window_frames": 256}
LEGACY_ENCODERS: Final = EncoderChoice(codec="dac-summed", structure="xcodec", semantic="audiomae")
_LEGACY_WIDTHS: Final = {"target": "in_channels", "structure": "xcodec_dim", "semantic": "mae_dim"}
_OUR_SIZES: Final = {
    "in_channels": "latent_dim", "xcodec_dim": "structure_dim", "mae_dim": "semantic_dim",
    "d_model": "d_model", "n_heads": "n_heads", "depth": "depth",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class OpenedModel:
    """A network with what it needs to restore.

    Attributes:
        model: called as `RestorationModel` is; in evaluation mode, on the CPU.
        standardisers: one for each stream.
        meta: JSON facts of its training: `encoders`, `identities`, `source`, `inference`, `profile`, `snapshot_digest`.
        content_hash: SHA-256 of the file the weights came from.
        trust: how far its corrections are to be trusted; None where nothing beside the weights says so.
    """

    model: nn.Module
    standardisers: Standardisers
    meta: dict[str, Any]
    content_hash: str
    trust: Trust | None = None


def open_model(
    place: str, *, sizes: Mapping[str, int | None] | None = None, legacy_encoders: EncoderChoice = LEGACY_ENCODERS
) -> OpenedModel:
    """The model at `place`, its averaged weights where it has them.

    Args:
        place: a `.pt` file or an export, of this project or of the original.
        sizes: by the original's names; what is given must be what the model has.
        legacy_encoders: with which a model of the original is used, as its files name none; one that was trained on
            here does.

    Raises:
        CheckpointNotFound: nothing is there.
        InvalidCheckpoint: it is not whole.
        InvalidConfig: `sizes` contradict it, or the encoders are of other widths.
        EncoderUnavailable: an encoder lacks its weights.
    """
    told = {name: size for name, size in (sizes or {}).items() if size is not None}
    checkpoint = load_checkpoint(place, n_heads=told.get("n_heads"))
    _check_sizes(checkpoint, told)
    if isinstance(checkpoint, LegacyCheckpoint):
        return _legacy(checkpoint, legacy_encoders)
    network, content_hash = checkpoint.network("ema"), _content_hash(place)
    trust = _trust(place, content_hash)
    return OpenedModel(network, checkpoint.standardisers, checkpoint.facts["meta"], content_hash, trust)


def _check_sizes(checkpoint: Checkpoint, told: Mapping[str, int]) -> None:
    legacy = isinstance(checkpoint, LegacyCheckpoint)
    has = {name: checkpoint.sizes[name if legacy else ours] for name, ours in _OUR_SIZES.items()}
    wrong = [f"--{name} {size} but the model has {has[name]}" for name, size in told.items() if size != has[name]]
    if wrong:
        raise InvalidConfig(f"Sizes that contradict {checkpoint.place}: {'; '.join(wrong)}; leave them out")


def _legacy(checkpoint: LegacyCheckpoint, choice: EncoderChoice) -> OpenedModel:
    if "encoders" in checkpoint.facts["meta"]:  # it was trained on here
        choice = EncoderChoice(**checkpoint.facts["meta"]["encoders"])
    codec = load_codec(choice.codec)
    structure = load_feature_encoder("structure", choice.structure)
    semantic = load_feature_encoder("semantic", choice.semantic)
    dims = {"target": codec.latent_dim, "structure": structure.feature_dim, "semantic": semantic.feature_dim}
    identities = {"target": codec.identity, "structure": structure.identity, "semantic": semantic.identity}
    has = checkpoint.sizes
    wrong = [
        f"{name} {has[name]} but {identities[stream].name} gives {dims[stream]}"
        for stream, name in _LEGACY_WIDTHS.items()
        if has[name] != dims[stream]
    ]
    if wrong:
        raise InvalidConfig(
            f"{checkpoint.place} was trained on other encoders: {'; '.join(wrong)}; name those that it was trained on "
            "with --codec, --structure and --semantic"
        )
    weights: Weights = "ema" if "ema" in checkpoint.weight_sets else "model"
    meta = {
        "profile": str(checkpoint.facts["meta"].get("profile", "unknown")),
        "seed": None,
        "snapshot_digest": None,
        "encoders": choice.as_dict(),
        "identities": {stream: identity.as_dict() for stream, identity in identities.items()},
        "source": "noise",
        "weights": weights,
        "inference": dict(LEGACY_INFERENCE),
    }
    return OpenedModel(
        model=LegacyNetwork(checkpoint.network(weights)).eval(),
        standardisers={stream: Standardiser(torch.zeros(dim), torch.ones(dim)) for stream, dim in dims.items()},
        meta=meta,
        content_hash=_content_hash(checkpoint.place),
    )


def _trust(place: str, content_hash: str) -> Trust | None:
    if not is_export(place) or not exists(file := join(place, TRUST_NAME)):
        return None
    return read_trust(read_bytes(file), file, content_hash)


def _content_hash(place: str) -> str:
    file = join(place, WEIGHTS_NAME) if is_export(place) else place
    return hashlib.sha256(read_bytes(file)).hexdigest()
