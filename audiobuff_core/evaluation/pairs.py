"""Which files belong together: the clean one, the damaged one, and what each system made of it."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from audiobuff_core.errors import AudioNotFound, DataMissing, InvalidConfig

FLOOR, CEILING = "degraded", "ceiling"
CLEAN_KIND = "clean"

What = Literal["unpaired", "unreadable", "other format", "misaligned", "silent", "gave up", "failed", "listener"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about an item that a reader of the table must know.

    Attributes:
        item: its name.
        row: of which row: `clean`, `degraded`, or the name of a system.
        what: the kind of problem.
        reason: in words.
        left_out: whether the item is left out of every row because of it, so that all rows are of the same items.
    """

    item: str
    row: str
    what: What
    reason: str
    left_out: bool = True

    def __str__(self) -> str:
        """One line that says it all."""
        verb = "left out" if self.left_out else "note"
        return f"{verb}: {self.item} ({self.row}): {self.what}: {self.reason}"


@dataclass(frozen=True, slots=True)
class System:
    """Something that restores.

    Attributes:
        name: of its row.
        folder: with what it made, under the names of the damaged files.
        note: a few words about it, such as its version.
    """

    name: str
    folder: Path
    note: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """The files of one name.

    Attributes:
        name: path within the folders, without suffix.
        clean: the reference.
        degraded: the damaged input.
        restored: system to what it made.
        kinds: of damage, none where it is not known.
        damage: the same in words, with parameters.
        seconds: system to the seconds that it took, where it left them beside its output.
        clean_gain: what the clean recording is multiplied by (linear): a level that is no fault, but a part of the
            damage, is not to be undone.
    """

    name: str
    clean: Path
    degraded: Path
    restored: Mapping[str, Path]
    kinds: tuple[str, ...] = ()
    damage: str = ""
    seconds: Mapping[str, float] | None = None
    clean_gain: float = 1.0


def pair_files(
    clean: Path, degraded: Path, systems: Sequence[System], *, kinds: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[list[Item], list[Problem]]:
    """The items that have all their files, by name without suffix, and every file that has not its counterparts.

    Kinds are those of the table `kinds`, else of the row that `audiobuff degrade` wrote beside the damaged file.
    Seconds are read from `<restored file>.json`, where `audiobuff restore` and peers leave them.

    Raises:
        AudioNotFound: a folder is missing or has no audio, or no item has all its files.
        InvalidConfig: two systems of one name, or one of a name that other rows have.
    """
    names = [system.name for system in systems]
    taken = [name for name, count in Counter(names).items() if count > 1 or name in ("clean", FLOOR, CEILING)]
    if taken:
        raise InvalidConfig(f"Systems called {', '.join(taken)}: expected names of their own, not clean or {FLOOR}")
    folders = {"clean": clean, FLOOR: degraded, **{system.name: system.folder for system in systems}}
    problems: list[Problem] = []
    found = {row: _files(row, folder, problems) for row, folder in folders.items()}
    everywhere = set.intersection(*(set(files) for files in found.values()))
    for name in sorted(set.union(*(set(files) for files in found.values())) - everywhere):
        lacking = [row for row, files in found.items() if name not in files]
        having = next(row for row, files in found.items() if name in files)
        problems.append(Problem(name, having, "unpaired", f"no {' and no '.join(lacking)} file of this name"))
    if not everywhere:
        raise AudioNotFound(
            f"No file name is in all of {', '.join(str(folder) for folder in folders.values())}: files are paired by "
            f"their path in the folder without suffix; {len(problems)} files have no counterpart"
        )
    items = [_item(name, found, names, kinds) for name in sorted(everywhere)]
    problems += _strangers_to(kinds, items) if kinds is not None else []
    return items, [*problems, *(problem for item in items for problem in _given_up(item))]


def read_kinds(path: Path) -> dict[str, tuple[str, ...]]:
    """The table of kinds at `path`: JSON {name: kind or [kinds]}, or CSV with the columns name and kind.

    A name may have a suffix; several kinds in a CSV are joined by `+`.

    Raises:
        DataMissing: there is no such file, or it is no such table.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin with a mark
        if path.suffix.lower() == ".json":
            table = json.loads(text)
            pairs = [(name, [kinds] if isinstance(kinds, str) else list(kinds)) for name, kinds in table.items()]
        else:
            rows = list(csv.DictReader(text.splitlines()))
            pairs = [(row["name"], row["kind"].split("+")) for row in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataMissing(
            f"No table of kinds at {path} ({type(error).__name__}): expected JSON {{name: kind}} or CSV with the "
            "columns name and kind"
        ) from error
    return {_key(Path(name)): tuple(kind.strip() for kind in kinds) for name, kinds in pairs}


def _key(place: Path) -> str:
    from audiobuff_core.audio.suffixes import AUDIO_SUFFIXES

    return (place.with_suffix("") if place.suffix.lower() in AUDIO_SUFFIXES else place).as_posix()


def _files(row: str, folder: Path, problems: list[Problem]) -> dict[str, Path]:
    from audiobuff_core.data.seen import look_through

    paths, passed = look_through(str(folder), inboxes=True)
    if not paths:
        raise AudioNotFound(f"No audio in {folder} ({row}): expected at least one recording; check the path")
    problems += [Problem(one.source, row, "unreadable", one.reason) for one in passed]
    top, found = folder.resolve(), dict[str, Path]()
    for path in map(Path, paths):
        if path.name.endswith(".removed.wav"):  # what `audiobuff restore --delta` took out
            continue
        key = _key(path.relative_to(top))
        if key in found:
            problems.append(Problem(key, row, "unpaired", f"{found[key].name} and {path.name}: only the first counts"))
        else:
            found[key] = path
    return found


def _item(
    name: str, found: Mapping[str, dict[str, Path]], systems: list[str], table: Mapping[str, tuple[str, ...]] | None
) -> Item:
    degraded = found[FLOOR][name]
    kinds, damage, clean_gain = _damage(degraded)
    restored = {system: found[system][name] for system in systems}
    seconds = {system: _beside(path).get("seconds") for system, path in restored.items()}
    return Item(
        name=name,
        clean=found["clean"][name],
        degraded=degraded,
        restored=restored,
        kinds=kinds if table is None else table.get(name, ()),
        damage=damage,
        seconds={system: float(one) for system, one in seconds.items() if isinstance(one, int | float)},
        clean_gain=clean_gain,
    )


def _strangers_to(table: Mapping[str, tuple[str, ...]], items: Sequence[Item]) -> list[Problem]:
    """Items that a table of kinds does not name, and names in it of which there is no item."""
    paired = {item.name for item in items}
    reasons = dict.fromkeys(sorted(paired - set(table)), "the table of kinds does not name it: it counts in no kind")
    reasons |= dict.fromkeys(sorted(set(table) - paired), "the table of kinds names it: there is no such item")
    return [Problem(name, "kinds", "unpaired", reason, left_out=False) for name, reason in reasons.items()]


def _given_up(item: Item) -> list[Problem]:
    """The tools that `audiobuff baselines` left out of a recording as they took too long."""
    return [
        Problem(item.name, system, "gave up", str(one), left_out=False)
        for system, path in item.restored.items()
        for one in _beside(path).get("given_up", ())
    ]


def _damage(degraded: Path) -> tuple[tuple[str, ...], str, float]:
    """Kinds and words of the row beside a damaged file, and at what level its clean recording is the goal."""
    from audiobuff_core.degradation.plan import PlanRow
    from audiobuff_core.degradation.render import target_gain
    from audiobuff_core.evaluation.players import row_in_words

    beside = _beside(degraded)
    try:
        row = PlanRow.from_dict(beside["row"])
        gain = target_gain(row) * float(beside.get("output_gain", 1.0))
    except (KeyError, TypeError, ValueError):
        return (), "", 1.0
    return tuple(dict.fromkeys(fault.kind for fault in row.faults)) or (CLEAN_KIND,), row_in_words(row), gain


def _beside(path: Path) -> dict[str, Any]:
    """The JSON that a command left beside its output; empty where there is none, or it is something else."""
    from audiobuff_core.files import read_json

    place = Path(f"{path}.json")
    if not place.is_file():
        return {}
    try:
        content = read_json(place)
    except DataMissing:
        return {}
    return content if isinstance(content, dict) else {}
