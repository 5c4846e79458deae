"""What is inside a checkpoint: tensors and primitives only, so that loading never runs code.

A training checkpoint (`checkpoint_epoch_{n}.pt`, `checkpoint_best.pt`) holds all that training needs to go on; its
key names are a superset of the original's. An export (`weights.safetensors` and `config.json`) holds the averaged
weights alone. `load_model` reads both.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from audiobuff_core.errors import CheckpointNotFound, InvalidCheckpoint
from audiobuff_core.files import delete, exists, join, read_bytes, write_bytes, write_json
from audiobuff_core.models.checkpoint_file import read_plain
from audiobuff_core.models.model import (
    ARCHITECTURE,
    STREAMS,
    ModelConfig,
    RestorationModel,
    Standardiser,
    Standardisers,
)

SCHEMA_VERSION = 3
WEIGHTS_NAME = "weights.safetensors"
CONFIG_NAME = "config.json"
TRUST_NAME = "trust.safetensors"  # beside some weights, and for these only: see `inference.trust`
Storage = Literal["float32", "float16", "int8"]
SCALE_PREFIX = "scale."


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A network ready to restore.

    Attributes:
        model: in evaluation mode, on the CPU.
        standardisers: one for each stream.
        meta: JSON facts of its training (encoders, snapshot digest, inference defaults).
        content_hash: SHA-256 of the file the weights came from.
    """

    model: RestorationModel
    standardisers: Standardisers
    meta: dict[str, Any]
    content_hash: str


def statistics_tensors(standardisers: Standardisers) -> dict[str, Tensor]:
    """The standardisers as flat tensors: `latent_mean`, `structure_std`, ... (`latent` is the target's)."""
    tensors = {}
    for stream in STREAMS:
        name = "latent" if stream == "target" else stream
        tensors[f"{name}_mean"], tensors[f"{name}_std"] = standardisers[stream].mean, standardisers[stream].std
    return tensors


def read_statistics(tensors: dict[str, Any], place: str) -> Standardisers:
    """The standardisers among the tensors of a checkpoint, as `statistics_tensors` named them.

    Raises:
        InvalidCheckpoint: one is missing.
    """
    found = {}
    for stream in STREAMS:
        name = "latent" if stream == "target" else stream
        if f"{name}_mean" not in tensors or f"{name}_std" not in tensors:
            raise InvalidCheckpoint(f"{place} has no {name}_mean and {name}_std: it is not an AudioBuff model")
        found[stream] = Standardiser(tensors[f"{name}_mean"], tensors[f"{name}_std"])
    return found


def read_checkpoint(url: str, *, lazily: bool = False) -> dict[str, Any]:
    """The content of a training checkpoint (`lazily`: see `read_plain`); pickled code in it is refused, never run.

    Raises:
        CheckpointNotFound: there is none.
        InvalidCheckpoint: it is truncated, no checkpoint, or of another schema.
    """
    content = read_plain(url, lazily=lazily)
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InvalidCheckpoint(f"{url} has checkpoint schema {version}: expected {SCHEMA_VERSION}")
    return content


def write_export(
    folder: str,
    state: dict[str, Tensor],
    config: ModelConfig,
    standardisers: Standardisers,
    meta: dict[str, Any],
    *,
    storage: Storage = "float32",
) -> str:
    """Write `weights.safetensors` and then `config.json` to `folder`; the SHA-256 of the weights.

    What lay there of an earlier export's trust goes: it was for other weights.

    `float16` is half of the size; `int8` about a quarter: every row of a matrix as whole numbers up to 127 and what
    they have to be multiplied by, all else as float32. Loaded they are float32 again.
    """
    from safetensors.torch import save

    tensors = _stored({name: tensor.detach().cpu() for name, tensor in state.items()}, storage)
    data = save(tensors | {f"stat.{name}": tensor for name, tensor in statistics_tensors(standardisers).items()})
    content_hash = hashlib.sha256(data).hexdigest()
    if exists(join(folder, TRUST_NAME)):
        delete(join(folder, TRUST_NAME))
    write_bytes(join(folder, WEIGHTS_NAME), data)
    fields = {"architecture": ARCHITECTURE, "schema_version": SCHEMA_VERSION, "model": config.as_dict()}
    write_json(join(folder, CONFIG_NAME), fields | {"weights_sha256": content_hash, "meta": meta})
    return content_hash


def _stored(state: dict[str, Tensor], storage: Storage) -> dict[str, Tensor]:
    if storage != "int8":
        dtype = torch.float16 if storage == "float16" else torch.float32
        return {name: tensor.to(dtype).contiguous().clone() for name, tensor in state.items()}
    stored = {}
    for name, tensor in state.items():
        if tensor.ndim < 2:
            stored[name] = tensor.float().clone()
            continue
        rows = tensor.float().flatten(1)
        scale = rows.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127
        stored[name] = (rows / scale[:, None]).round().to(torch.int8).reshape(tensor.shape).contiguous()
        stored[SCALE_PREFIX + name] = scale
    return stored


def _from_stored(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights that `_stored` made `tensors` of, as far as these still tell."""
    state = {}
    for name, tensor in tensors.items():
        scale = tensors.get(SCALE_PREFIX + name)
        if scale is not None:
            state[name] = tensor.float() * scale.reshape(-1, *[1] * (tensor.ndim - 1))
        elif not name.startswith(SCALE_PREFIX):
            state[name] = tensor
    return state


def load_model(place: str) -> LoadedModel:
    """The network of an export folder, or the averaged weights of a training checkpoint file.

    Raises:
        CheckpointNotFound: nothing is there.
        InvalidCheckpoint: what is there is no model of ours, or not whole.
    """
    if Path(place).suffix == ".pt":
        return _from_checkpoint(place)
    return _from_export(place)


def _from_export(folder: str) -> LoadedModel:
    from safetensors import SafetensorError
    from safetensors.torch import load

    if not exists(join(folder, CONFIG_NAME)):
        raise CheckpointNotFound(f"No model at {folder}: expected {CONFIG_NAME} and {WEIGHTS_NAME}; train one first")
    fields = json.loads(read_bytes(join(folder, CONFIG_NAME)))
    if fields.get("architecture") != ARCHITECTURE:
        raise InvalidCheckpoint(f"{folder} holds architecture {fields.get('architecture')}: expected {ARCHITECTURE}")
    data = read_bytes(join(folder, WEIGHTS_NAME))
    content_hash = hashlib.sha256(data).hexdigest()
    if content_hash != fields["weights_sha256"]:
        raise InvalidCheckpoint(f"{folder}/{WEIGHTS_NAME} is not the file that its config names: copy both again")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise InvalidCheckpoint(f"{folder}/{WEIGHTS_NAME} is not whole ({error}): copy it again") from error
    statistics = {name.removeprefix("stat."): tensors.pop(name) for name in list(tensors) if name.startswith("stat.")}
    model = model_of(ModelConfig.from_dict(fields["model"]), _from_stored(tensors), folder)
    return LoadedModel(model, read_statistics(statistics, folder), fields["meta"], content_hash)


def _from_checkpoint(url: str) -> LoadedModel:
    content = read_checkpoint(url)
    config = ModelConfig.from_dict(content["config"]["model"])
    model = model_of(config, content["ema_state"], url)
    content_hash = hashlib.sha256(read_bytes(url)).hexdigest()
    return LoadedModel(model, read_statistics(content, url), content["config"]["meta"], content_hash)


def model_of(config: ModelConfig, state: dict[str, Tensor], place: str) -> RestorationModel:
    """The network with these weights, every one of which must fit, in evaluation mode.

    Raises:
        InvalidCheckpoint: a weight is missing, too many, or of another shape.
    """
    model = RestorationModel(config)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise InvalidCheckpoint(
            f"The weights at {place} do not fit their config: {str(error).splitlines()[-1].strip()}"
        ) from error
    return model.eval()
