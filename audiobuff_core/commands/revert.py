"""`audiobuff revert RESTORED`: put the input back where a repair was not wanted."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiobuff_core.commands.restore import names, numbers, stretch
from audiobuff_core.errors import InvalidConfig

if TYPE_CHECKING:
    from audiobuff_core.audio.recording import Recording, Stored

FADE_SECONDS = 0.01


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    made = commands.add_parser(
        "revert",
        help="put the input back where a repair was not wanted",
        description="Put the input back into a restored recording, to the sample, cross-faded over 10 ms inside the "
        "edges. The report beside it says which recording that was and numbers its repairs. RESTORED.removed.wav, if "
        "it is there, is made anew.",
        epilog="examples:\n"
        "  audiobuff revert repaired.wav --repairs 3,17\n"
        "  audiobuff revert repaired.wav --between 1:32-1:40\n"
        "  audiobuff revert repaired.wav --kind declip",
    )
    made.add_argument("restored", type=Path, metavar="RESTORED", help="what `audiobuff restore` wrote")
    made.add_argument("--repairs", type=numbers, default=(), metavar="3,17", help="repairs by their number")
    made.add_argument("--between", type=stretch, metavar="A-B", help="a stretch, such as 1:32-1:40")
    made.add_argument("--kind", type=names, default=(), metavar="KIND", help="all repairs of a kind, such as declip")
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Put the input back; 0.

    Raises:
        DataMissing: there is no report beside the recording, or it is none of ours.
        InvalidConfig: nothing of the kind was repaired, or a recording has changed since.
    """
    from audiobuff_core.audio.recording import read_recording
    from audiobuff_core.audio.same_format import write_like
    from audiobuff_core.codecs.file_hash import file_hash
    from audiobuff_core.files import read_json, write_json
    from audiobuff_core.inference.restore_file import delta_path, report_path, write_delta

    destination = arguments.restored
    report = read_json(report_path(destination))
    source = Path(report["input"])
    for path, name in ((source, "input_sha256"), (destination, "output_sha256")):
        if not path.is_file() or file_hash(path) != report[name]:
            raise InvalidConfig(f"{path} is not the file of {report_path(destination)} any more: restore it again")
    spans = spans_of(arguments, report)
    before, after = read_recording(source), read_recording(destination)
    if (before.stored.dtype, before.stored.shape) != (after.stored.dtype, after.stored.shape):
        raise InvalidConfig(f"{destination} is of another coding than {source}: restore it to {source.suffix}")
    stored = reverted(before, after, spans)
    write_like(before, destination, stored)
    if report["delta"] is not None:
        write_delta(delta_path(destination), before, stored)
    undone = report.get("reverted_seconds", []) + [list(span) for span in spans]
    write_json(
        report_path(destination),
        report | {"output_sha256": file_hash(destination), "reverted_seconds": undone, "copied": False},
    )
    print(f"{destination}: the input is back in {len(spans)} place(s)")
    return 0


def spans_of(arguments: argparse.Namespace, report: dict[str, Any]) -> list[tuple[float, float]]:
    """The stretches, in seconds, that the options name.

    Raises:
        InvalidConfig: they name none, or one that is not in the report.
    """
    spans = [] if arguments.between is None else [arguments.between]
    known = {one["id"]: one for one in report["repairs"]}
    missing = [str(number) for number in arguments.repairs if number not in known]
    kinds = {one["kind"] for one in known.values()}
    missing += [kind for kind in arguments.kind if kind not in kinds]
    if missing:
        told = f"1 to {len(known)}, of kind {', '.join(sorted(kinds))}" if known else "none"
        raise InvalidConfig(f"No repair {', '.join(missing)} of {arguments.restored}: its report has {told}")
    chosen = [one for one in known.values() if one["id"] in arguments.repairs or one["kind"] in arguments.kind]
    spans += [(one["start_seconds"], one["end_seconds"]) for one in chosen]
    if not spans:
        raise InvalidConfig("Nothing to put back: name --repairs, --between or --kind")
    return spans


def reverted(before: "Recording", after: "Recording", spans: list[tuple[float, float]]) -> "Stored":
    """`after` with the samples of `before` inside `spans`, cross-faded over 10 ms inside their edges."""
    import numpy as np

    stored = after.stored.copy()
    rate, num_samples = before.sample_rate, before.num_samples
    for begin_seconds, end_seconds in spans:
        begin, end = max(0, round(begin_seconds * rate)), min(num_samples, round(end_seconds * rate))
        if begin >= end:
            raise InvalidConfig(f"{begin_seconds:g}-{end_seconds:g} s: the recording has {num_samples / rate:.3f} s")
        fade = min(max(1, round(FADE_SECONDS * rate)), (end - begin) // 2)
        place = np.arange(begin, end)
        rise = np.ones(end - begin) if begin == 0 else np.clip((place - begin + 0.5) / max(1, fade), 0, 1)
        fall = np.ones(end - begin) if end == num_samples else np.clip((end - place - 0.5) / max(1, fade), 0, 1)
        share = (rise * fall).astype(np.float32)
        mixed = after.floats(begin, end) + share * (before.floats(begin, end) - after.floats(begin, end))
        faded = np.where(share == 1, before.stored[:, begin:end], before.to_stored(mixed))
        stored[:, begin:end] = np.where(
            before.stored[:, begin:end] == stored[:, begin:end], stored[:, begin:end], faded
        )
    return stored
