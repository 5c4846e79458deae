"""Folders as the hub publishes them: `config.json` says what `model.safetensors` is."""

import json
from pathlib import Path

from audiobuff_core.errors import InvalidCheckpoint


def check_config(folder: Path, field: str, prefix: str, *, name: str, fetch: str) -> None:
    """Refuse a `folder` whose config.json does not say by `field` that it has an encoder's weights.

    Without a look at it, libraries make a network of whatever fields they know, and then of whatever weights fit.

    Args:
        folder: with the weights.
        field: of config.json.
        prefix: what its value begins with.
        name: of the encoder, for a reader.
        fetch: what `audiobuff fetch-weights` calls it.

    Raises:
        InvalidCheckpoint: there is no readable config.json, or it describes something else.
    """
    path = folder / "config.json"
    fix = f"name another folder, or fetch it anew with `audiobuff fetch-weights {fetch}`"
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        shown = getattr(error, "strerror", None) or error
        raise InvalidCheckpoint(
            f"{path} can't be read as JSON ({shown}): expected a folder with config.json and "
            f"model.safetensors of {name}; {fix}"
        ) from error
    found = config.get(field) if isinstance(config, dict) else None
    if not str(found).startswith(prefix):
        raise InvalidCheckpoint(f"{path} describes {found!r} as its {field}: expected {prefix!r}, of {name}; {fix}")
