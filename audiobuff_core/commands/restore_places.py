"""Which recordings are restored, and where each goes."""

import glob
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from audiobuff_core.audio.suffixes import AUDIO_SUFFIXES
from audiobuff_core.data.seen import look_through
from audiobuff_core.errors import AudioNotFound, InvalidConfig
from audiobuff_core.files import printable


@dataclass(frozen=True, slots=True)
class RestorePlace:
    """One recording and where it goes."""

    source: Path
    destination: Path


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What to restore, and what was asked for and is not there.

    Attributes:
        places: at least one.
        missed: a reason for each folder or pattern that holds nothing or can't be read.
    """

    places: list[RestorePlace]
    missed: list[str]


def plan_places(inputs: list[str], output: Path) -> RestorePlan:
    """The recordings that `inputs` name (files, folders, patterns), each with its place in `output`.

    A folder's recordings keep their place below it. One file may go to a file. What lies in `output` is no input.

    Raises:
        AudioNotFound: no recording is there at all.
        InvalidConfig: two recordings would go to one place, one to an input, or several to a file.
    """
    found: list[tuple[Path, Path]] = []  # a recording, and its place below the output
    missed: list[str] = []
    for text in inputs:
        found += _found(text, output, missed)
    if not found:
        raise AudioNotFound("; ".join(missed))
    as_file = len(found) == 1 and not output.is_dir() and not Path(inputs[0]).is_dir() and _is_file_name(output)
    if as_file:
        return RestorePlan([RestorePlace(found[0][0], output)], missed)
    if not output.is_dir() and _is_file_name(output):
        raise InvalidConfig(
            f"{len(found)} recording(s) to the file {output}, which takes one named by itself: name a folder"
        )
    places: dict[Path, Path] = {}
    for source, below in dict.fromkeys(found):
        destination = output / below
        if destination in places and places[destination].resolve() != source.resolve():
            raise InvalidConfig(
                f"{places[destination]} and {source} would both go to {destination}: restore them to two folders"
            )
        places[destination] = source
    _refuse_overwriting(places)
    return RestorePlan([RestorePlace(source, destination) for destination, source in places.items()], missed)


def _refuse_overwriting(places: dict[Path, Path]) -> None:
    sources = {source.resolve() for source in places.values()}
    for destination, source in places.items():
        if destination.resolve() in sources:
            raise InvalidConfig(f"{source} would go to {destination}, which is an input: name another folder")


def check_beside(plan: RestorePlan, beside: Callable[[Path], Path]) -> None:
    """Refuse a plan where the file that `beside` names for an output is another's too, an output or an input.

    Raises:
        InvalidConfig: naming the file and both recordings.
    """
    taken = {path.resolve(): place.source for place in plan.places for path in (place.source, place.destination)}
    for place in plan.places:
        extra = beside(place.destination)
        other = taken.setdefault(extra.resolve(), place.source)
        if other != place.source or extra.resolve() == place.source.resolve():
            raise InvalidConfig(
                f"{extra}, to be written for {place.source}, would be in the way of {other}: restore to two folders"
            )


def _is_file_name(output: Path) -> bool:
    return output.exists() or output.suffix.lower() in AUDIO_SUFFIXES


def _found(text: str, output: Path, missed: list[str]) -> list[tuple[Path, Path]]:
    """Recordings and their places below the output; what is wrong with `text` is added to `missed`."""
    path, name = Path(text), printable(text)
    if os.path.isdir(text):  # noqa: PTH112 - Path's way raises where the folder around may not be read
        inside, top = output.resolve(), path.resolve()
        recordings, passed = look_through(text, inboxes=True)
        missed += [f"{one.source}: {one.reason}" for one in passed]
        kept = [Path(one) for one in recordings if inside not in Path(one).parents or inside == top]
        if not kept and not passed:
            missed.append(f"No recordings below {name}: expected files such as .wav or .flac; check the path")
        return [(one, one.relative_to(top)) for one in kept]
    if glob.has_magic(text) and not os.path.exists(text):  # noqa: PTH110
        # Path.glob takes no absolute patterns.
        matches = [Path(one) for one in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207
        matches = [one for one in matches if one.is_file() and one.suffix.lower() in AUDIO_SUFFIXES]
        if not matches:
            missed.append(f"No recording matches {name!r}: check the pattern")
        return [(one, Path(one.name)) for one in matches]
    return [(path, Path(path.name))]  # one that is missing fails by itself
