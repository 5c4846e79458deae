"""A restored file with its report, and the recording that it was made of."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiobuff_core.errors import AudioNotFound, DataMissing, InvalidConfig

if TYPE_CHECKING:
    from audiobuff_core.audio.recording import Recording


@dataclass(frozen=True, slots=True)
class RestoredPair:
    """Before, after, and what the report says was done between them."""

    before: "Recording"
    after: "Recording"
    report: dict[str, Any]


def read_pair(restored: Path, source: Path | None = None) -> RestoredPair:
    """The pair of `restored`; `source` says where the input lies now, if it was moved.

    Raises:
        AudioNotFound: the restored file or its input is not there.
        DataMissing: there is no report beside it, or it is none of ours.
        InvalidConfig: a recording has changed since, or the restored one is of another coding.
    """
    from audiobuff_core.audio.recording import read_recording
    from audiobuff_core.codecs.file_hash import file_hash
    from audiobuff_core.files import exists, read_json
    from audiobuff_core.inference.restore_file import SCHEMA, report_path

    place = report_path(restored)
    if not restored.is_file():
        raise AudioNotFound(f"No audio at {restored}: expected what `audiobuff restore` wrote; check the path")
    if not exists(place):
        raise DataMissing(f"No report {place}: expected it beside what `audiobuff restore` wrote; restore again")
    report = read_json(place)
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise DataMissing(f"{place} is not a report of this version ({SCHEMA}): restore again")
    told = Path(report["input"]) if source is None else source
    if not told.is_file():
        raise AudioNotFound(f"The input of {restored} is not at {told} any more: say where it is with --input")
    for path, name in ((told, "input_sha256"), (restored, "output_sha256")):
        if file_hash(path) != report[name]:
            raise InvalidConfig(f"{path} is not the file of {place} any more: restore it again")
    before, after = read_recording(told), read_recording(restored)
    if (before.stored.dtype, before.stored.shape) != (after.stored.dtype, after.stored.shape):
        raise InvalidConfig(f"{restored} is of another coding or length than {told}: restore it to {told.suffix}")
    return RestoredPair(before, after, report)
