"""Networks that were read from their files once, for everything in this process that uses them."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def kept_while_unchanged(read: Callable[[Path], T]) -> Callable[[Path], T]:
    """`read`, which gives what it gave last while the same place has the same files.

    Preparing asks for an encoder in every step, and reading and hashing its weights takes seconds.
    """
    last: dict[Path, tuple[object, T]] = {}

    def remembering(place: Path) -> T:
        state = _state(place)
        if place not in last or last[place][0] != state:
            last.clear()
            last[place] = (state, read(place))
        return last[place][1]

    return remembering


def _state(place: Path) -> object:
    """What tells that no file at `place` has changed."""
    files = sorted(place.iterdir()) if place.is_dir() else [place] if place.exists() else []
    return [(file.name, facts.st_size, facts.st_mtime_ns) for file in files for facts in (file.stat(),)]
