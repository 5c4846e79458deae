"""Damaging one file or all files of a folder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.kinds import problems_of
from audiobuff_core.degradation.plan import PlanRow, draw_row
from audiobuff_core.errors import AudioBuffError, AudioNotFound, DataMissing, InvalidConfig


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wanted: a recipe, its seed and variant; or the file of a row; and whether only rows are."""

    recipe: str = "audiobuff"
    seed: int = 1337
    variant: int = 0
    row_file: Path | None = None
    plan_only: bool = False

    def row_for(self, name: str, waveform: Waveform) -> PlanRow:
        """The row of a recording.

        Raises:
            InvalidConfig: there is no such recipe, or it or the row has problems.
            DataMissing: the file of the row holds none, or it is of another recording.
        """
        content = content_hash(waveform)
        if self.row_file is None:
            return draw_row(name, content, recipe=self.recipe, seed=self.seed, variant=self.variant)
        from audiobuff_core.files import read_json

        try:
            row = PlanRow.from_dict(read_json(self.row_file)["row"])
        except (KeyError, TypeError) as error:
            raise DataMissing(f"{self.row_file} holds no row: name the .json that `audiobuff degrade` wrote") from error
        problems = [problem for fault in row.faults for problem in problems_of(fault.kind, fault.parameters)]
        if problems:
            raise InvalidConfig(f"The row in {self.row_file} can't be rendered: {'; '.join(problems)}")
        if row.audio_hash != content:
            raise DataMissing(f"The row in {self.row_file} is of another recording than {name}: name the one it is of")
        return row


@dataclass(frozen=True, slots=True)
class FolderOutcome:
    """How many recordings were damaged, and which were not, with the reason."""

    num_done: int
    refused: tuple[tuple[str, str], ...]


def content_hash(waveform: Waveform) -> str:
    """SHA-256 of the decoded samples, their shape and rate: the same in whatever lossless format they lie."""
    told = f"{waveform.samples.shape} {waveform.sample_rate} ".encode()
    return hashlib.sha256(told + waveform.samples.tobytes()).hexdigest()


def destination_of(source: Path, output: Path) -> Path:
    """Where the damaged `source` goes: `output`, or a file of its name in the folder `output`.

    Raises:
        InvalidConfig: that is the source itself.
    """
    destination = output / source.name if output.is_dir() else output
    if destination.resolve() == source.resolve():
        raise InvalidConfig(f"Input and output are both {source}: name another output, the input is never overwritten")
    return destination


def degrade_one(source: Path, destination: Path, damage: Damage) -> str:
    """Damage `source`, write it in its own format and the row beside it as `<destination>.json`; a line about it.

    What an earlier call left of the same recording and row is kept.

    Raises:
        AudioBuffError: the source can't be read, the recipe not be used, or the destination not be written.
    """
    from audiobuff_core.audio.read import read_audio
    from audiobuff_core.audio.same_format import check_format, write_in_format_of
    from audiobuff_core.data.damage import CODE_VERSION
    from audiobuff_core.degradation.render import render
    from audiobuff_core.files import printable, require_writable, write_json

    check_format(source, destination)
    waveform = read_audio(source, whole=True)
    row = damage.row_for(source.name, waveform)
    require_writable(destination)
    facts = {
        "input": str(source),
        "sample_rate": waveform.sample_rate,
        "channels": waveform.channels,
        "num_samples": waveform.num_samples,
        "row": row.as_dict(),
        "code_version": CODE_VERSION,
    }
    kinds, place = ", ".join(fault.kind for fault in row.faults) or "no fault", printable(str(destination))
    if damage.plan_only:
        write_json(f"{destination}.json", facts)
        return f"{place}.json: {kinds}"
    if _is_done(destination, facts):
        return f"{place}: {kinds}, as it was there"
    gain = write_in_format_of(source, destination, render(row, waveform))
    made = {"output": str(destination), "output_gain": gain, "output_sha256": _sha256(destination)}
    write_json(f"{destination}.json", {**facts, **made})
    return f"{printable(str(destination))}: {kinds}" + (
        f", {gain:.4g} times as loud, to fit the format" if gain < 1 else ""
    )


def _is_done(destination: Path, facts: dict[str, Any]) -> bool:
    """Whether the file and the row beside it are what these facts would make."""
    from audiobuff_core.files import read_json

    beside = Path(f"{destination}.json")
    if not (destination.is_file() and beside.is_file()):
        return False
    try:
        left = read_json(beside)
    except DataMissing:
        return False  # no JSON of ours: it is written anew
    same = isinstance(left, dict) and all(left.get(name) == value for name, value in facts.items())
    return same and left.get("output_sha256") == _sha256(destination)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def degrade_folder(folder: Path, output: Path, damage: Damage) -> FolderOutcome:
    """Damage every recording below `folder` into the same place below `output`; one that can't be is no obstacle.

    Folders that may not be looked into, and names that are no text, are among what was refused.

    Raises:
        InvalidConfig: the recipe has problems, a row was named, or an output would go to an input.
        AudioNotFound: no recording lies in the folder.
        OutputNotWritable: the output is no place for files.
    """
    from audiobuff_core.data.seen import look_through
    from audiobuff_core.files import require_writable
    from audiobuff_core.progress import track

    if damage.row_file is not None:
        raise InvalidConfig(f"--row is of one recording and {folder} is a folder: name the recording")
    if folder.resolve() == output.resolve():
        raise InvalidConfig(f"Input and output are both {folder}: name another output, inputs are never overwritten")
    draw_row("", "", recipe=damage.recipe, seed=0, variant=0)  # a bad recipe is one error, not one for each file
    top, inside = folder.resolve(), output.resolve()
    found, closed = look_through(str(folder), inboxes=True)
    # By the place where a file was found, not where a link leads; an earlier output inside the input is no input.
    paths = [Path(path) for path in found if top not in inside.parents or inside not in Path(path).parents]
    refused = [(row.source, row.reason) for row in closed]
    if not paths:
        reason = f"; {refused[0][0]}: {refused[0][1]}" if refused else ""
        raise AudioNotFound(
            f"No recordings below {folder}: expected files such as .wav or .flac; check the path{reason}"
        )
    places = {path: output / path.relative_to(top) for path in paths}
    overwritten = {path.resolve() for path in paths} & {place.resolve() for place in places.values()}
    if overwritten:
        raise InvalidConfig(f"{min(overwritten)} is an input, and an output would go there: name another output")
    require_writable(output / "x")
    for path, destination in track(places.items(), "Damaging", total=len(places)):
        try:
            degrade_one(path, destination, damage)
        except AudioBuffError as error:
            refused.append((str(path), " ".join(str(error).split())))
    return FolderOutcome(len(paths) + len(closed) - len(refused), tuple(refused))
