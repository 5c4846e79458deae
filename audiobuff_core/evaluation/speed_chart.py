"""Quality against speed as SVG that takes its colours from the page around it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from audiobuff_core.evaluation.loss_chart import Tick
from audiobuff_core.evaluation.metrics.protocol import Metric
from audiobuff_core.evaluation.pairs import CEILING, FLOOR
from audiobuff_core.evaluation.scores import Scores

WIDTH, HEIGHT = 520, 250
LEFT, RIGHT, TOP, BOTTOM = 56, 34, 16, 36
# What a name takes: a line of it, and a character; names that would cover each other go lower.
LINE, CHARACTER = 15.0, 8.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A system: where it stands, from where to where its interval reaches, where its name fits and on which side."""

    name: str
    across: float
    down: float
    low: float
    high: float
    label: float
    anchor: str


@dataclass(frozen=True, slots=True)
class SpeedChart:
    """One metric: systems as marks, floor and ceiling as lines at a height, better upwards."""

    title: str
    marks: tuple[Mark, ...]
    floor: float
    ceiling: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    summary: str


def draw_speeds(metric: Metric, scores: Scores, speeds: Mapping[str, float]) -> SpeedChart | None:
    """The chart of `metric` over speed in times real time, logarithmic; None where no system has both."""
    shown = {name: speed for name, speed in speeds.items() if name in scores and metric.name in scores[name]}
    if not shown:
        return None
    ends = {row: scores[row][metric.name].mean for row in (FLOOR, *shown, CEILING)}
    low, high = min(one.low for one in ends.values()), max(one.high for one in ends.values())
    margin = 0.08 * (high - low) or 0.5
    low, high = low - margin, high + margin
    slowest, fastest = (math.log10(edge) for edge in (min(shown.values()), max(shown.values())))
    slowest, fastest = math.floor(slowest - 0.15), math.ceil(fastest + 0.15)

    def across(speed: float) -> float:
        share = (math.log10(speed) - slowest) / (fastest - slowest)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * share, 1)

    def down(value: float) -> float:
        share = (value - low) / (high - low)
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - share if metric.better == "higher" else share), 1)

    marks = []
    for name, speed in shown.items():
        mean = ends[name]
        anchor = "end" if across(speed) > WIDTH * 0.6 else "start"
        marks.append(
            Mark(name, across(speed), down(mean.mean), down(mean.low), down(mean.high), down(mean.mean), anchor)
        )
    told = ", ".join(f"{name} {ends[name].mean:.4g} at {speed:.3g} times real time" for name, speed in shown.items())
    return SpeedChart(
        title=f"{metric.title}{f', {metric.unit}' if metric.unit else ''}",
        marks=_with_free_labels(marks),
        floor=down(ends[FLOOR].mean),
        ceiling=down(ends[CEILING].mean),
        x_ticks=tuple(Tick(across(10.0**power), f"{10.0**power:g}x") for power in range(slowest, fastest + 1)),
        y_ticks=tuple(Tick(down(value), f"{value:.3g}") for value in _round_values(low, high)),
        summary=f"{metric.title}: {told}; floor {ends[FLOOR].mean:.4g}, ceiling {ends[CEILING].mean:.4g}",
    )


def _with_free_labels(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """`marks` from the top, with names moved down until none covers another."""
    taken: list[tuple[float, float, float]] = []
    made = []
    for mark in sorted(marks, key=lambda one: (one.down, one.across)):
        width = CHARACTER * (len(mark.name) + 1)
        left = mark.across - (width if mark.anchor == "end" else 0.0)
        beside = sorted(height for one, other, height in taken if one < left + width and left < other)
        label = mark.down
        for height in beside:
            if abs(label - height) < LINE:
                label = height + LINE
        taken.append((left, left + width, label))
        made.append(replace(mark, label=round(label, 1)))
    return tuple(made)


def _round_values(low: float, high: float) -> list[float]:
    """Three to six round values between `low` and `high`."""
    scale = 10 ** math.floor(math.log10(high - low))
    step = next(factor * scale for factor in (0.2, 0.25, 0.5, 1.0, 2.0) if (high - low) / (factor * scale) <= 6)
    return [step * index for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
