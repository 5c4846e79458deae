"""Which model restores."""

from collections.abc import Callable
from importlib.resources import files

from audiobuff_core.errors import CheckpointNotFound

BUILTIN_MODEL = "builtin_model"


def chosen_model(named: str | None, champion: Callable[[], str | None]) -> str:
    """The model that was named, else the promoted champion, else the one in the box.

    Raises:
        CheckpointNotFound: there is none of them.
    """
    place = named or champion() or in_the_box()
    if place is None:
        raise CheckpointNotFound(
            "No model to restore with: name one with --checkpoint (`audiobuff demo` leaves one in "
            "audiobuff_demo/checkpoint), or promote one in the browser"
        )
    return place


def in_the_box() -> str | None:
    """The folder of the model that ships with the package; None where it was left out."""
    folder = files("audiobuff_core") / BUILTIN_MODEL
    return str(folder) if (folder / "config.json").is_file() else None
