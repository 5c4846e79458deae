"""The report of an evaluation: one HTML file that needs no server, no network and no other file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.evaluation.bootstrap import Interval
from audiobuff_core.evaluation.evaluation import Evaluation
from audiobuff_core.evaluation.measured_items import MeasuredItem
from audiobuff_core.evaluation.metrics.protocol import Metric
from audiobuff_core.evaluation.page_templates import page_templates
from audiobuff_core.evaluation.pairs import CEILING, FLOOR
from audiobuff_core.evaluation.players import Version, encode_versions
from audiobuff_core.evaluation.scores import ALL_KINDS, Score, gap_reasons
from audiobuff_core.evaluation.speed_chart import HEIGHT, LEFT, RIGHT, WIDTH, draw_speeds
from audiobuff_core.progress import track

# What all players together may take, in characters of base64; and how much of an item is heard.
BUDGET_BYTES = 14_000_000
EXCERPT_SECONDS = 8.0
GROUPS = {
    "quality": "Quality",
    "speech": "Speech: of other sound these say little",
    "level": "Level",
    "harm": "Harm and what was made up",
}


@dataclass(frozen=True, slots=True)
class Heard:
    """An item with its players; `rank` says why it was chosen."""

    item: MeasuredItem
    rank: str
    versions: tuple[Version, ...]


def render_page(evaluation: Evaluation) -> str:
    """The HTML of the report.

    Raises:
        AudioBuffError: a file that was measured is gone.
    """
    from audiobuff_core.evaluation.figures import tick_positions

    environment = page_templates()
    environment.filters.update(figure=figure, signed=_signed, percent=_percent, clearly=_clearly)
    scores = evaluation.scores[ALL_KINDS]
    counted = evaluation.kinds[ALL_KINDS]
    return environment.get_template("evaluation.html").render(
        one=evaluation,
        scores=scores,
        counted=counted,
        headline=headline(evaluation),
        groups={title: _of_group(evaluation, group) for group, title in GROUPS.items()},
        gaps=gap_reasons(counted, evaluation.rows, evaluation.metrics),
        charts=[chart for metric in evaluation.main if (chart := draw_speeds(metric, scores, evaluation.speeds))],
        chart={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT},
        no_speed=[system.name for system in evaluation.systems if system.name not in evaluation.speeds],
        heard=list(choose_heard(evaluation)),
        ticks=tick_positions(),
        floor=FLOOR,
        ceiling=CEILING,
        row_titles={"clean": "Clean", FLOOR: "Degraded", CEILING: "Ceiling"},
    )


def headline(evaluation: Evaluation) -> str:
    """Which systems are clearly better or worse than the damaged input by the first metric, in a sentence."""
    metric, scores = evaluation.main[0], evaluation.scores[ALL_KINDS]
    verdicts: dict[str, list[str]] = {"better than": [], "worse than": [], "not clearly different from": []}
    for system in evaluation.systems:
        score = scores[system.name].get(metric.name)
        if score is not None and score.gain is not None:
            clear = _clearly(score.gain, metric)
            side = {"won": "better than", "loss": "worse than"}.get(clear, "not clearly different from")
            verdicts[side].append(system.name)
    parts = [
        f"{_listed(names)} {'is' if len(names) == 1 else 'are'} {side} the damaged input"
        for side, names in verdicts.items()
        if names
    ]
    num_items = len(evaluation.kinds[ALL_KINDS])
    if not parts:
        return f"{metric.title} has no figure on any of {num_items} items."
    return f"By {metric.title}, {'; '.join(parts)} ({num_items} item{'s' if num_items != 1 else ''})."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def choose_heard(evaluation: Evaluation) -> Iterator[Heard]:
    """Best, middle and worst item by the mean gain of all systems, then the worst of each kind and system.

    Chosen by rank, never by ear. What exceeds the budget is left out from the end.
    """
    metric, left = evaluation.main[0], BUDGET_BYTES
    ranks = _ranks(evaluation, metric)
    for item, rank in track(list(ranks.items()), "Encoding items for the report"):
        versions = tuple(encode_versions(_excerpts(item)))
        left -= sum(len(version.audio) + len(version.picture) for version in versions)
        if left < 0:
            break
        yield Heard(item, rank, versions)


def _ranks(evaluation: Evaluation, metric: Metric) -> dict[MeasuredItem, str]:
    """Item to why it is heard."""
    systems = [system.name for system in evaluation.systems]
    rows = [FLOOR, *systems]
    known = [item for item in evaluation.kinds[ALL_KINDS] if all(metric.name in item.rows[row] for row in rows)]

    def gain(item: MeasuredItem) -> float:
        changes = [item.rows[system][metric.name] - item.rows[FLOOR][metric.name] for system in systems]
        return metric.sign * sum(changes) / len(changes)

    ordered = sorted(known, key=lambda item: (-gain(item), item.item.name))
    if not ordered:
        return {}
    last = len(ordered) - 1
    chosen = {ordered[0]: "most gained", ordered[last]: "least gained", ordered[last // 2]: "in the middle"}
    by_name = {item.item.name: item for item in known}
    for worst in evaluation.worst:
        if worst.metric == metric.name and worst.kind != ALL_KINDS and worst.item in by_name:
            chosen.setdefault(by_name[worst.item], f"worst of {worst.kind} by {worst.system}")
    return {item: f"{rank}, of {len(ordered)}" for item, rank in chosen.items()}


def _excerpts(item: MeasuredItem) -> dict[str, Waveform]:
    """The loudest seconds of the clean recording, and the same of all others."""
    from audiobuff_core.audio.read import read_audio
    from audiobuff_core.evaluation.held_out import loudest_clip

    start_seconds, clean = loudest_clip(read_audio(item.item.clean), EXCERPT_SECONDS)
    excerpts = {"clean": clean}
    others: Mapping[str, Path] = {FLOOR: item.item.degraded, **item.item.restored}
    for row, path in others.items():
        waveform = read_audio(path)
        first = round(start_seconds * waveform.sample_rate)
        cut = np.ascontiguousarray(waveform.samples[:, first : first + clean.num_samples])
        excerpts[row] = Waveform(cut, waveform.sample_rate)
    return excerpts


def _of_group(evaluation: Evaluation, group: str) -> list[Metric]:
    return [metric for metric in evaluation.metrics if metric.group == group]


def figure(value: float | None) -> str:
    """A figure with as many places as its size deserves, and a true minus sign."""
    if value is None:
        return "none"
    size = abs(value)
    places = 0 if size >= 1000 else 1 if size >= 9.95 else 2 if size >= 0.995 else 3 if size >= 0.0995 else 4
    text = f"{value:.{places}f}" if size >= 0.00005 else "0"
    return text.replace("-", "\N{MINUS SIGN}")


def _signed(value: float) -> str:
    text = figure(value)
    return text if value < 0 or text == "0" else f"+{text}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%".replace("-", "\N{MINUS SIGN}")


def _clearly(gain: Interval | Score | None, metric: Metric) -> str:
    """`won` or `loss` where a gain is surely there and large enough to matter, else nothing."""
    interval = gain.gain if isinstance(gain, Score) else gain
    if interval is None or not interval.excludes_zero or abs(interval.mean) < metric.material:
        return ""
    return "won" if interval.mean > 0 else "loss"
