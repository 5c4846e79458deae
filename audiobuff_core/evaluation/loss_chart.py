"""The loss curve as SVG that takes its colours from the page around it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 34
NUM_POINTS = 240


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where, in the drawing's units, and what it says."""

    place: float
    label: str


@dataclass(frozen=True, slots=True)
class LossChart:
    """A drawing of `width` x `height` units: one path a series, and the marks of both axes."""

    width: int
    height: int
    left: int
    right: int
    bottom: int
    training: str
    validation: str
    validation_points: tuple[tuple[float, float], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    summary: str


def draw_losses(rows: Sequence[Mapping[str, Any]]) -> LossChart | None:
    """The chart of the rows of a training log ({step, loss} and {step, val_loss}); None where no row has a loss.

    The vertical axis is logarithmic where all losses are positive. Long logs are thinned to the mean of neighbours.
    """
    training = _thinned(_series(rows, "loss"))
    validation = _series(rows, "val_loss")
    points = training + validation
    if not points:
        return None
    logarithmic = all(loss > 0 for _, loss in points)

    def height_of(loss: float) -> float:
        return math.log10(loss) if logarithmic else loss

    last = max(step for step, _ in points) or 1
    low, high = min(height_of(loss) for _, loss in points), max(height_of(loss) for _, loss in points)
    margin = 0.06 * (high - low) or 0.5
    low, high = low - margin, high + margin

    def place(step: float, loss: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * step / last
        down = TOP + (HEIGHT - TOP - BOTTOM) * (high - height_of(loss)) / (high - low)
        return round(across, 1), round(down, 1)

    losses = _round_losses(low, high, logarithmic)
    drawn = [place(*point) for point in validation]
    return LossChart(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        bottom=HEIGHT - BOTTOM,
        training=_path([place(*point) for point in training]),
        validation=_path(drawn),
        validation_points=tuple(drawn),
        x_ticks=tuple(Tick(place(step, losses[0])[0], f"{step:,.0f}") for step in _round_steps(last)),
        y_ticks=tuple(Tick(place(0, loss)[1], f"{loss:.3g}") for loss in losses),
        summary=_summary(training, validation),
    )


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(row["step"], row[name]) for row in rows if row.get(name) is not None and math.isfinite(row[name])]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    width = -(-len(points) // NUM_POINTS)
    blocks = [points[first : first + width] for first in range(0, len(points), max(1, width))]
    return [(block[-1][0], sum(loss for _, loss in block) / len(block)) for block in blocks]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "".join(f"{'L' if index else 'M'}{across} {down}" for index, (across, down) in enumerate(points))


def _round_steps(last: float) -> list[float]:
    """About four round step numbers from 0 to `last`."""
    scale = 10 ** math.floor(math.log10(max(last, 1)))
    step = next(factor * scale for factor in (0.25, 0.5, 1, 2.5) if last / (factor * scale) <= 5)
    step = max(1.0, step)
    return [step * index for index in range(int(last // step) + 1)]


def _round_losses(low: float, high: float, logarithmic: bool) -> list[float]:
    """Three to seven round losses between `low` and `high`, which are powers of ten if `logarithmic`."""
    if logarithmic:
        decades = range(math.floor(low), math.ceil(high) + 1)
        for mantissas in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
            found = [mantissa * 10.0**decade for decade in decades for mantissa in mantissas]
            inside = [loss for loss in found if low <= math.log10(loss) <= high]
            if 3 <= len(inside) <= 7:
                return inside
        low, high = 10**low, 10**high
    return [low + (high - low) * share for share in (0.08, 0.36, 0.64, 0.92)]


def _summary(training: list[tuple[float, float]], validation: list[tuple[float, float]]) -> str:
    parts = [
        f"{name} loss from {points[0][1]:.4g} to {points[-1][1]:.4g}"
        if len(points) > 1
        else f"{name} loss {points[0][1]:.4g}"
        for name, points in (("training", training), ("validation", validation))
        if points
    ]
    return "; ".join(parts)
