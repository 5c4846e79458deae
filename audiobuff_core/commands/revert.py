"""`audiobuff revert RESTORED`: put the input back where a repair was not wanted."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from audiobuff_core.commands.restore import names, numbers, stretch
from audiobuff_core.errors import InvalidConfig

if TYPE_CHECKING:
    from audiobuff_core.audio.recording import Recording, Stored
    from audiobuff_core.commands.restored_pair import RestoredPair

FADE_SECONDS, ROUNDED_SECONDS = 0.01, 0.00005
# What the treatments are called elsewhere.
OTHER_NAMES: Final = {
    "declick": "clicks",
    "declip": "clipping",
    "dehum": "hum",
    "denoise": "noise",
    "degap": "gaps",
    "derumble": "rumble",
    "dewind": "low_noise",
    "wind": "low_noise",
    "dequantise": "quantisation",
    "quantization": "quantisation",
}


@dataclass(frozen=True, slots=True)
class Undone:
    """A place [begin, end) in seconds whose channels, from 0, are the input's again; None for all channels."""

    begin: float
    end: float
    channels: tuple[int, ...] | None = None


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    made = commands.add_parser(
        "revert",
        help="put the input back where a repair was not wanted",
        description="Put the input back into a restored recording, to the sample, cross-faded over 10 ms outside the "
        "edges: all that was changed there, by whatever. The report beside it says which recording that was and "
        "numbers its repairs. RESTORED.removed.wav and RESTORED.png, if they are there, are made anew.",
        epilog="examples:\n"
        "  audiobuff revert repaired.wav --repairs 3,17\n"
        "  audiobuff revert repaired.wav --between 1:32-1:40\n"
        "  audiobuff revert repaired.wav --kind clicks",
    )
    add = made.add_argument
    add("restored", type=Path, metavar="RESTORED", help="what `audiobuff restore` wrote")
    add("--repairs", type=numbers, default=(), metavar="3,17", help="repairs by their number, in their channels")
    add(
        "--between", type=stretch, action="append", default=[], metavar="A-B",
        help="a stretch, such as 1:32-1:40, in all channels; may be given again",
    )  # fmt: skip
    add("--kind", type=names, default=(), metavar="KIND", help="all repairs of a kind, such as clicks or network")
    add("--input", type=Path, metavar="FILE", help="where the input lies now, if it was moved")
    add("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Put the input back; 0.

    Raises:
        DataMissing: there is no report beside the recording, or it is none of ours.
        InvalidConfig: nothing of the kind was repaired, or a recording has changed since.
    """
    from audiobuff_core.audio.same_format import write_like
    from audiobuff_core.commands.restored_pair import read_pair
    from audiobuff_core.commands.restored_picture import draw, picture_path
    from audiobuff_core.inference.restore_file import delta_path, write_delta

    destination: Path = arguments.restored
    pair = read_pair(destination, arguments.input)
    places = places_of(arguments, pair.report)
    stored = reverted(pair.before, pair.after, places)
    write_like(pair.before, destination, stored)
    if pair.report["delta"] is not None:
        write_delta(delta_path(destination), pair.before, stored)
    _renew_report(destination, pair, stored, places)
    if picture_path(destination).exists():
        draw(pair.before, stored, pair.report["confidence"], destination)
    print(f"{destination}: the input is back in {len(places)} place(s)")
    return 0


def _renew_report(destination: Path, pair: "RestoredPair", stored: "Stored", places: list[Undone]) -> None:
    from audiobuff_core.codecs.file_hash import file_hash
    from audiobuff_core.files import write_json
    from audiobuff_core.inference.restore_file import measured, report_path

    report = pair.report
    everywhere = [place for place in places if place.channels is None]
    repairs = [
        one | {"reverted": True} if _is_undone(one, set(places), everywhere) else one for one in report["repairs"]
    ]
    undone = report.get("reverted_seconds", []) + [[place.begin, place.end] for place in places]
    renewed = {
        "output_sha256": file_hash(destination),
        "after": measured(stored, pair.before.sample_rate),
        "repairs": repairs,
        "reverted_seconds": undone,
        "copied": False,
    }
    write_json(report_path(destination), report | renewed)


def _is_undone(repair: dict[str, Any], chosen: set[Undone], everywhere: list[Undone]) -> bool:
    begin, end = repair["start_seconds"], repair["end_seconds"]
    inside = any(place.begin <= begin and end <= place.end for place in everywhere)
    return inside or Undone(*_span(repair), tuple(repair["channels"])) in chosen


def places_of(arguments: argparse.Namespace, report: dict[str, Any]) -> list[Undone]:
    """The places that the options name.

    Raises:
        InvalidConfig: they name none, or one that is not in the report.
    """
    known = {one["id"]: one for one in report["repairs"]}
    kinds = {one["kind"] for one in known.values()}
    wanted = {kind if kind in kinds else OTHER_NAMES.get(kind, kind) for kind in arguments.kind}
    missing = [str(number) for number in arguments.repairs if number not in known] + sorted(wanted - kinds)
    if missing:
        told = f"1 to {len(known)}, of kind {', '.join(sorted(kinds))}" if known else "none"
        raise InvalidConfig(f"No repair {', '.join(missing)} of {arguments.restored}: its report has {told}")
    chosen = [one for one in known.values() if one["id"] in arguments.repairs or one["kind"] in wanted]
    places = [Undone(begin, end) for begin, end in arguments.between]
    places += [Undone(*_span(one), tuple(one["channels"])) for one in chosen]
    if not places:
        raise InvalidConfig("Nothing to put back: name --repairs, --between or --kind")
    return places


def _span(repair: dict[str, Any]) -> tuple[float, float]:
    """Begin and end in seconds, wide enough for what was lost when they were rounded."""
    return max(0.0, repair["start_seconds"] - ROUNDED_SECONDS), repair["end_seconds"] + ROUNDED_SECONDS


def reverted(before: "Recording", after: "Recording", places: list[Undone]) -> "Stored":
    """`after` with the samples of `before` inside `places`, cross-faded to what was there over 10 ms outside of them.

    Raises:
        InvalidConfig: a place lies behind the end of the recording.
    """
    import numpy as np

    from audiobuff_core.audio.recording import as_floats

    stored = after.stored.copy()
    rate, num_samples = before.sample_rate, before.num_samples
    fade = max(1, round(FADE_SECONDS * rate))
    for place in places:
        begin, end = max(0, int(place.begin * rate)), min(num_samples, int(np.ceil(place.end * rate)))
        if begin >= end:
            raise InvalidConfig(f"{place.begin:g}-{place.end:g} s: the recording has {num_samples / rate:.3f} s")
        around = slice(max(0, begin - fade), min(num_samples, end + fade))
        rows = list(range(before.channels) if place.channels is None else place.channels)
        was, made = before.stored[rows, around], stored[rows, around]
        moment = np.arange(around.start, around.stop)
        outside = np.maximum(begin - moment, moment - end + 1)
        share = np.clip(1 - outside / (fade + 1), 0, 1).astype(np.float32)
        mixed = before.to_stored(as_floats(made) + share * (as_floats(was) - as_floats(made)))
        stored[rows, around] = np.where((share == 1) | (was == made), was, mixed)
    return stored
