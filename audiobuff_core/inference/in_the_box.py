"""The model that ships with the package."""

from importlib.resources import files

from audiobuff_core.errors import CheckpointNotFound

BUILTIN_MODEL = "builtin_model"


def in_the_box() -> str | None:
    """Its folder; None where it was left out."""
    folder = files("audiobuff_core") / BUILTIN_MODEL
    return str(folder) if (folder / "config.json").is_file() else None


def must_be_in_the_box() -> str:
    """Its folder.

    Raises:
        CheckpointNotFound: it was left out.
    """
    if (place := in_the_box()) is None:
        raise CheckpointNotFound("There is no model in the box here: name an export or a .pt file")
    return place
