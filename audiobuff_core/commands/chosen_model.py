"""Which model restores."""

from collections.abc import Callable
from typing import Final

from audiobuff_core.errors import CheckpointNotFound
from audiobuff_core.inference.in_the_box import in_the_box

# What a report calls the choice, and what is said of it.
CHOICES: Final = {"named": "as named", "champion": "the champion here", "builtin": "the one in the box"}


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


def choice_of(named: str | None, place: str) -> str:
    """Why `chosen_model` chose `place`: a key of `CHOICES`."""
    return "named" if named else "builtin" if place == in_the_box() else "champion"


def model_in_words(place: str, choice: str, profile: str) -> str:
    """Which model restores, and why that one."""
    return f"Model: {CHOICES[choice]}, {place} (profile {profile})"
