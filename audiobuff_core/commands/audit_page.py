"""The repairs that changed most, as sounds and on a page."""

import base64
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.commands.restored_pair import RestoredPair
from audiobuff_core.errors import OutputNotWritable
from audiobuff_core.inference.told_repairs import (
    HEARD_SECONDS,
    channels_in_words,
    clock,
    counted,
    heard_size,
    in_words,
    length_in_words,
)

PAGE: Final = "index.html"
VERSIONS: Final = ("before", "after", "taken away")
CONTEXT_SECONDS, LONGEST_SECONDS = 0.5, 6.0
PEAK = 0.9


@dataclass(frozen=True, slots=True)
class Version:
    """One of the three to hear: `audio` is a file's name, `picture` a data URI."""

    name: str
    audio: str
    picture: str


@dataclass(frozen=True, slots=True)
class Cut:
    """One repair on the page: its report in words, and its sounds."""

    id: int
    kind_in_words: str
    place: str
    length: str
    heard: str
    channels: str
    size_db: float
    confidence: float | None
    versions: tuple[Version, ...]


def write_audit(pair: RestoredPair, restored: Path, folder: Path, top: int) -> tuple[Path, int]:
    """Write the `top` largest repairs of `pair` into `folder`; the page, and how many there are.

    Sounds of an earlier audit in that folder are removed.

    Raises:
        OutputNotWritable: the folder can't be written.
    """
    from audiobuff_core.files import require_writable, write_bytes
    from audiobuff_core.progress import show_progress, track

    page = folder / PAGE
    require_writable(page)
    _clear(folder)
    left = [one for one in pair.report["repairs"] if not one.get("reverted")]
    chosen = sorted(left, key=heard_size, reverse=True)[:top]
    spans = [_span(pair, repair) for repair in chosen]
    peaks = [max(_peak(pair.before.floats(*span)), _peak(pair.after.floats(*span))) for span in spans]
    gain = PEAK / max(1e-6, *peaks) if peaks else 1.0
    with show_progress():
        cuts = [
            _cut(pair, repair, span, gain, folder, number)
            for number, (repair, span) in track(
                list(enumerate(zip(chosen, spans, strict=True), start=1)), "Cutting repairs"
            )
        ]
    write_bytes(page, _html(pair, restored, cuts, len(left), gain).encode())
    return page, len(cuts)


def _clear(folder: Path) -> None:
    try:
        for old in folder.glob("[0-9][0-9]*-*.flac"):
            old.unlink()
    except OSError as error:
        raise OutputNotWritable(f"Can't write {folder}: {error.strerror or error}. Choose another place.") from error


def _span(pair: RestoredPair, repair: dict[str, Any]) -> tuple[int, int]:
    """Samples to hear: the repair with half a second on both sides, or 6 s of it around its largest change."""
    rate, last = pair.before.sample_rate, pair.before.num_samples
    begin, end = round(repair["start_seconds"] * rate), round(repair["end_seconds"] * rate)
    longest, context = round(LONGEST_SECONDS * rate), round(CONTEXT_SECONDS * rate)
    if end - begin + 2 * context > longest:
        middle = _largest_change(pair, begin, min(last, end))
        begin = max(0, min(middle - longest // 2, last - longest))
        return begin, min(last, begin + longest)
    return max(0, begin - context), min(last, end + context)


def _largest_change(pair: RestoredPair, begin: int, end: int) -> int:
    frame = max(1, round(HEARD_SECONDS * pair.before.sample_rate))
    best, where = -1.0, begin
    for first in range(begin, end, 200 * frame):
        stop = min(end, first + 200 * frame)
        change = np.square(pair.after.floats(first, stop) - pair.before.floats(first, stop)).sum(axis=0)
        framed = np.pad(change, (0, -len(change) % frame)).reshape(-1, frame).sum(axis=1)
        if float(framed.max()) > best:
            best, where = float(framed.max()), first + int(framed.argmax()) * frame
    return where


def _peak(samples: Samples) -> float:
    return float(np.abs(samples).max())


def _cut(
    pair: RestoredPair, repair: dict[str, Any], span: tuple[int, int], gain: float, folder: Path, number: int
) -> Cut:
    from audiobuff_core.audio.write import write_audio
    from audiobuff_core.evaluation.figures import loudest_db, spectrogram_png

    rate, rows = pair.before.sample_rate, repair["channels"]
    # Browsers play one or two channels well; of more, the one that was repaired.
    heard = slice(None) if pair.before.channels <= 2 else slice(rows[0], rows[0] + 1)
    seen = rows[0] if pair.before.channels <= 2 else 0
    before, after = (gain * one.floats(*span)[heard] for one in (pair.before, pair.after))
    sounds = [Waveform(np.ascontiguousarray(one), rate) for one in (before, after, np.clip(before - after, -1, 1))]
    top_db = loudest_db(sounds[0].samples[seen], rate)
    versions = []
    for name, sound in zip(VERSIONS, sounds, strict=True):
        file_name = f"{number:02d}-{repair['kind']}-{name.replace(' ', '-')}.flac"
        write_audio(folder / file_name, sound, subtype="PCM_16")
        picture = base64.b64encode(spectrogram_png(sound.samples[seen], rate, top_db=top_db)).decode()
        versions.append(Version(name, file_name, f"data:image/png;base64,{picture}"))
    return Cut(
        repair["id"],
        in_words(repair["kind"]),
        clock(repair["start_seconds"]),
        length_in_words(repair["end_seconds"] - repair["start_seconds"]),
        f"{clock(span[0] / rate)} to {clock(span[1] / rate)}",
        channels_in_words(rows, pair.before.channels),
        repair["size_db"],
        repair["confidence"],
        tuple(versions),
    )


def _html(pair: RestoredPair, restored: Path, cuts: list[Cut], num_left: int, gain: float) -> str:
    import shlex

    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    from audiobuff_core.evaluation.figures import tick_positions

    folders = [PackageLoader("audiobuff_core", f"{package}/templates") for package in ("commands", "evaluation")]
    environment = Environment(loader=ChoiceLoader(folders), undefined=StrictUndefined, autoescape=True)
    return environment.get_template("audit.html").render(
        title=restored.name,
        restored=shlex.quote(str(restored)),
        cuts=cuts,
        num_repairs=len(pair.report["repairs"]),
        num_reverted=len(pair.report["repairs"]) - num_left,
        num_shown=len(cuts),
        gain_db=round(20 * math.log10(gain), 1) if cuts else 0,
        facts=_facts(pair),
        ticks=tick_positions(),
    )


def _facts(pair: RestoredPair) -> list[tuple[str, str]]:
    report = pair.report
    found = ", ".join(f"{in_words(kind).lower()}: {count}" for kind, count in counted(report).items())
    model, coding = report["model"], f"{report['sample_rate']} Hz, {report['channels']} channel(s)"
    return [
        ("Input", report["input"]),
        ("Found", found or "nothing"),
        ("Recording", f"{clock(pair.before.duration_seconds)}, {coding}"),
        ("Model", f"{report['model_place'] or model['profile']} ({model['checkpoint_sha256'][:12]})"),
        ("Seed", str(report["seed"])),
    ]
