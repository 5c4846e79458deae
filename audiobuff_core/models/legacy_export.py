"""The original's network as an export folder: `weights.safetensors` and `config.json`."""

import hashlib
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from audiobuff_core.errors import InvalidCheckpoint
from audiobuff_core.files import join, read_bytes, read_json, write_bytes, write_json
from audiobuff_core.models.legacy import LEGACY_ARCHITECTURE, LegacyConfig
from audiobuff_core.models.schema import CONFIG_NAME, WEIGHTS_NAME


@dataclass(frozen=True, slots=True, eq=False)
class LegacyExport:
    """One set of weights of the original, `ema` or `model` as `weights` says, with its sizes and JSON facts."""

    config: LegacyConfig
    weights: str
    state: dict[str, Tensor]
    meta: dict[str, Any]


def write_legacy_export(folder: str, export: LegacyExport) -> str:
    """Write the weights and then the config to `folder`; the SHA-256 of the weights."""
    from safetensors.torch import save

    data = save({name: tensor.detach().cpu().float().contiguous().clone() for name, tensor in export.state.items()})
    content_hash = hashlib.sha256(data).hexdigest()
    write_bytes(join(folder, WEIGHTS_NAME), data)
    fields = {"architecture": LEGACY_ARCHITECTURE, "model": export.config.as_dict(), "weights": export.weights}
    write_json(join(folder, CONFIG_NAME), fields | {"weights_sha256": content_hash, "meta": export.meta})
    return content_hash


def read_legacy_export(folder: str) -> LegacyExport:
    """The export that `write_legacy_export` left.

    Raises:
        DataMissing: a file is gone.
        InvalidCheckpoint: the weights are not those that the config names, or the config lacks something.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    fields = read_json(join(folder, CONFIG_NAME))
    data = read_bytes(join(folder, WEIGHTS_NAME))
    try:
        if hashlib.sha256(data).hexdigest() != fields["weights_sha256"]:
            raise InvalidCheckpoint(f"{folder}/{WEIGHTS_NAME} is not the file that its config names: copy both again")
        return LegacyExport(LegacyConfig(**fields["model"]), fields["weights"], load(data), fields["meta"])
    except (KeyError, TypeError) as error:
        raise InvalidCheckpoint(f"{folder}/{CONFIG_NAME} is no config of {LEGACY_ARCHITECTURE}: {error}") from error
    except SafetensorError as error:
        raise InvalidCheckpoint(f"{folder}/{WEIGHTS_NAME} is not whole ({error}): copy it again") from error
