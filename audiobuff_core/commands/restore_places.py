"""Which recordings are restored, and where each goes."""

import glob
from dataclasses import dataclass
from pathlib import Path

from audiobuff_core.audio.suffixes import AUDIO_SUFFIXES
from audiobuff_core.data.seen import look_through
from audiobuff_core.errors import AudioNotFound, InvalidConfig


@dataclass(frozen=True, slots=True)
class RestorePlace:
    """One recording and where it goes."""

    source: Path
    destination: Path


def plan_places(inputs: list[str], output: Path) -> list[RestorePlace]:
    """The recordings that `inputs` name (files, folders, patterns), each with its place in `output`.

    A folder's recordings keep their place below it. One file may go to a file. What lies in `output` is no input.

    Raises:
        AudioNotFound: nothing is there, or no recording in a folder.
        InvalidConfig: two recordings would go to one place, one to an input, or several to a file.
    """
    found: list[tuple[Path, Path]] = []  # a recording, and its place below the output
    for text in inputs:
        found += _found(text, output)
    as_file = len(found) == 1 and not output.is_dir() and not Path(inputs[0]).is_dir() and _is_file_name(output)
    if as_file:
        return [RestorePlace(found[0][0], output)]
    if output.exists() and not output.is_dir():
        raise InvalidConfig(f"{len(found)} recordings to the file {output}: name a folder")
    places: dict[Path, Path] = {}
    for source, below in dict.fromkeys(found):
        destination = output / below
        if destination in places and places[destination].resolve() != source.resolve():
            raise InvalidConfig(
                f"{places[destination]} and {source} would both go to {destination}: restore them to two folders"
            )
        places[destination] = source
    _refuse_overwriting(places)
    return [RestorePlace(source, destination) for destination, source in places.items()]


def _refuse_overwriting(places: dict[Path, Path]) -> None:
    sources = {source.resolve() for source in places.values()}
    for destination, source in places.items():
        if destination.resolve() in sources:
            raise InvalidConfig(f"{source} would go to {destination}, which is an input: name another folder")


def _is_file_name(output: Path) -> bool:
    return output.exists() or output.suffix.lower() in AUDIO_SUFFIXES


def _found(text: str, output: Path) -> list[tuple[Path, Path]]:
    path = Path(text)
    if path.is_dir():
        inside = output.resolve()
        top = path.resolve()
        recordings = [Path(one) for one in look_through(str(path), inboxes=True)[0]]
        recordings = [one for one in recordings if inside not in one.parents or inside == top]
        if not recordings:
            raise AudioNotFound(f"No recordings below {path}: expected files such as .wav or .flac; check the path")
        return [(one, one.relative_to(top)) for one in recordings]
    if not path.exists() and glob.has_magic(text):
        # Path.glob takes no absolute patterns.
        matches = [Path(one) for one in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207
        matches = [one for one in matches if one.is_file() and one.suffix.lower() in AUDIO_SUFFIXES]
        if not matches:
            raise AudioNotFound(f"No recording matches {text!r}: check the pattern")
        return [(one, Path(one.name)) for one in matches]
    return [(path, Path(path.name))]  # one that is missing fails by itself
