"""Measuring one item: every row by every metric, or the reason why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import AudioBuffError
from audiobuff_core.evaluation.alignment import constant_delay
from audiobuff_core.evaluation.kept_figures import KeptFigures
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric, Signal
from audiobuff_core.evaluation.metrics.registry import find_metrics
from audiobuff_core.evaluation.pairs import CEILING, FLOOR, Item, Problem

if TYPE_CHECKING:
    from audiobuff_core.codecs.protocols import Codec


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredItem:
    """One item.

    Attributes:
        item: its files.
        duration_seconds: of each of them.
        rows: row (`degraded`, systems, `ceiling`) to metric to value; all empty where the item was left out.
        gaps: row to metric to the reason why it has no value.
        problems: all that is wrong with it.
    """

    item: Item
    duration_seconds: float
    rows: Mapping[str, Mapping[str, float]]
    gaps: Mapping[str, Mapping[str, str]]
    problems: tuple[Problem, ...]

    @property
    def left_out(self) -> bool:
        """Whether it counts in no row."""
        return any(problem.left_out for problem in self.problems)


def measure_item(item: Item, metric_names: Sequence[str], codec_name: str, keep: Path | None = None) -> MeasuredItem:
    """Every row of `item` by the metrics of `metric_names`; the ceiling is the round trip of the codec `codec_name`.

    An item of which a file can't be read, or is of another rate, length or number of channels, or is shifted in time,
    is left out as a whole, with the reason. Figures are kept in the folder `keep`, and those that are there not
    measured again (`kept_figures`).

    Raises:
        EncoderUnavailable: there is no such codec.
        OutputNotWritable: `keep` is no place to write to.
    """
    from audiobuff_core.audio.loudness import level_gain
    from audiobuff_core.evaluation.measure import round_trip

    waveforms, problems = _read(item)
    if problems:
        return MeasuredItem(item, 0.0, {}, {}, tuple(problems))
    clean, degraded = waveforms["clean"], waveforms[FLOOR]
    rows = {row: Signal(waveform) for row, waveform in waveforms.items() if row != "clean"}
    rows[CEILING] = Signal(round_trip(_codec(codec_name), clean, gain=level_gain(degraded)))
    reference = Signal(clean)
    if reference.is_silent:
        problems.append(
            Problem(item.name, "clean", "silent", "the clean recording is silent: only what is added to it counts",
                    left_out=False)
        )  # fmt: skip
    metrics = [metric for metric in find_metrics(metric_names) if not metric.missing]
    values: dict[str, dict[str, float]] = {row: {} for row in rows}
    gaps: dict[str, dict[str, str]] = {row: {} for row in rows}
    kept = None if keep is None else KeptFigures.of(keep, item.name)
    for row, signal in rows.items():
        comparison = Comparison(reference, signal, rows[FLOOR])
        for metric in metrics:
            value, reason = None if kept is None else kept.find(metric, comparison), ""
            if value is None:
                value, reason = value_or_reason(metric, comparison)
                if value is not None and kept is not None:
                    kept.add(metric, comparison, value)
            if value is None:
                gaps[row][metric.name] = reason
            else:
                values[row][metric.name] = value
    if kept is not None:
        kept.write()
    return MeasuredItem(item, clean.duration_seconds, values, gaps, tuple(problems))


def value_or_reason(metric: Metric, comparison: Comparison) -> tuple[float | None, str]:
    """The figure of `comparison`, or None and why it has none."""
    try:
        return metric.measure(comparison), ""
    except AudioBuffError as error:
        return None, " ".join(str(error).split())
    except Exception as error:
        if not metric.packages:
            raise
        # Another project's judge that breaks on an item is a named gap of it.
        return None, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _read(item: Item) -> tuple[dict[str, Waveform], list[Problem]]:
    """All files, and what is wrong with them; kinds that move in time, as wow does, are none."""
    from audiobuff_core.audio.read import read_audio

    waveforms: dict[str, Waveform] = {}
    problems: list[Problem] = []
    for row, path in {"clean": item.clean, FLOOR: item.degraded, **item.restored}.items():
        try:
            waveforms[row] = read_audio(path, whole=True)
        except AudioBuffError as error:
            problems.append(Problem(item.name, row, "unreadable", " ".join(str(error).split())))
    clean = waveforms.get("clean")
    if clean is not None and item.clean_gain != 1.0:
        clean = waveforms["clean"] = clean.scaled(item.clean_gain)
    for row, waveform in waveforms.items():
        if clean is None or row == "clean":
            continue
        wrong = _difference(clean, waveform)
        if wrong:
            problems.append(Problem(item.name, row, "other format", wrong))
        elif (delay := _delay(item, row, waveforms)) is not None:
            way = "late" if delay > 0 else "early"
            problems.append(
                Problem(item.name, row, "misaligned", f"{abs(delay)} samples {way}: shift it onto the clean recording")
            )
    return waveforms, problems


def _delay(item: Item, row: str, waveforms: Mapping[str, Waveform]) -> int | None:
    """By how many samples a row is late; None where it is not.

    What `audiobuff degrade` made is aligned, whatever its filters do to phases, and what keeps those is not late.
    """
    clean, degraded, waveform = waveforms["clean"], waveforms.get(FLOOR), waveforms[row]
    if row == FLOOR:
        return None if item.damage else constant_delay(clean, waveform)
    delay = constant_delay(clean, waveform)
    if delay is None or degraded is None or degraded.samples.shape != waveform.samples.shape:
        return delay
    return delay if constant_delay(degraded, waveform) is not None else None


def _difference(clean: Waveform, other: Waveform) -> str:
    """In what `other` is of another format, in words; empty where in nothing."""
    wrong = []
    if other.sample_rate != clean.sample_rate:
        wrong.append(f"{other.sample_rate} Hz, the clean one has {clean.sample_rate} Hz")
    if other.channels != clean.channels:
        wrong.append(f"{other.channels} channels, the clean one has {clean.channels}")
    if not wrong and other.num_samples != clean.num_samples:
        wrong.append(f"{other.num_samples} samples, the clean one has {clean.num_samples}")
    return "; ".join(wrong)


@lru_cache(maxsize=1)
def _codec(name: str) -> "Codec":
    from audiobuff_core.codecs.registry import load_codec

    return load_codec(name)
