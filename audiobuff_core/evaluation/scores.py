"""The table: what the measured items say of each row, with intervals, overall and by kind of damage."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audiobuff_core.evaluation.bootstrap import Interval, mean_interval, ratio_interval
from audiobuff_core.evaluation.measured_items import MeasuredItem
from audiobuff_core.evaluation.metrics.protocol import Metric
from audiobuff_core.evaluation.pairs import CEILING, FLOOR

ALL_KINDS = "all"


@dataclass(frozen=True, slots=True)
class Score:
    """One row by one metric, over items that have a value in every row.

    Attributes:
        mean: of the values.
        gain: paired, over the damaged input, positive where better; None for that row itself.
        closed: the share of the gap from floor to ceiling that was closed; None where there is no gap to close.
        worse_share: of items that came out worse than they went in, by more than nobody would notice.
    """

    mean: Interval
    gain: Interval | None = None
    closed: Interval | None = None
    worse_share: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The score as JSON values."""
        gain = None if self.gain is None else {**self.gain.as_dict(), "excludes_zero": self.gain.excludes_zero}
        closed = None if self.closed is None else self.closed.as_dict()
        return {"mean": self.mean.as_dict(), "gain": gain, "closed": closed, "worse_share": self.worse_share}


@dataclass(frozen=True, slots=True)
class Worst:
    """The item of a kind that a system harmed most, or helped least, by one metric."""

    kind: str
    system: str
    metric: str
    item: str
    before: float
    after: float
    gain: float


Scores = Mapping[str, Mapping[str, Score]]  # row to metric to score


def score_items(items: Sequence[MeasuredItem], rows: Sequence[str], metrics: Sequence[Metric], *, seed: int) -> Scores:
    """Each of `rows` by each of `metrics`; a metric that no item has in every row is in none.

    Args:
        items: none of them left out.
        rows: floor, systems and ceiling.
        metrics: those that are there.
        seed: of the bootstrap.
    """
    table: dict[str, dict[str, Score]] = {row: {} for row in rows}
    for metric in metrics:
        usable = usable_items(items, rows, metric)
        if not usable:
            continue
        values = {row: [item.rows[row][metric.name] for item in usable] for row in rows}
        for row in rows:
            table[row][metric.name] = _score(metric, values[row], values[FLOOR], values[CEILING], row, seed)
    return table


def _score(metric: Metric, values: list[float], floor: list[float], ceiling: list[float], row: str, seed: int) -> Score:
    mean = mean_interval(values, seed=seed)
    if row == FLOOR:
        return Score(mean)
    gains = _gains(metric, values, floor)
    gaps = _gains(metric, ceiling, floor)
    has_gap = metric.needs_reference and row != CEILING and sum(gaps) / len(gaps) >= metric.material
    return Score(
        mean=mean,
        gain=mean_interval(gains, seed=seed),
        closed=ratio_interval(gains, gaps, seed=seed) if has_gap else None,
        worse_share=sum(gain < -metric.material for gain in gains) / len(gains),
    )


def usable_items(items: Sequence[MeasuredItem], rows: Sequence[str], metric: Metric) -> list[MeasuredItem]:
    """The items that have a value of `metric` in every row: so no row is a mean of other items than its neighbour."""
    return [item for item in items if all(metric.name in item.rows[row] for row in rows)]


def by_kind(items: Sequence[MeasuredItem]) -> dict[str, list[MeasuredItem]]:
    """All items, and those of each kind of damage; one with several faults counts in each of them."""
    kinds = sorted({kind for item in items for kind in item.item.kinds})
    return {ALL_KINDS: list(items), **{kind: [item for item in items if kind in item.item.kinds] for kind in kinds}}


def differences(
    items: Sequence[MeasuredItem], systems: Sequence[str], rows: Sequence[str], metrics: Sequence[Metric], *, seed: int
) -> list[dict[str, Any]]:
    """Every pair of systems by every metric: how much better the first is, paired by item, with interval."""
    found = []
    for metric in metrics:
        usable = usable_items(items, rows, metric)
        for index, first in enumerate(systems):
            for second in systems[index + 1 :] if usable else ():
                one, other = ([item.rows[system][metric.name] for item in usable] for system in (first, second))
                gain = mean_interval(_gains(metric, one, other), seed=seed)
                interval = {**gain.as_dict(), "excludes_zero": gain.excludes_zero}
                found.append({"metric": metric.name, "system": first, "over": second, "gain": interval})
    return found


def worst_items(
    kinds: Mapping[str, Sequence[MeasuredItem]], systems: Sequence[str], metrics: Sequence[Metric]
) -> list[Worst]:
    """For each kind, system and metric the item with the smallest gain."""
    found = []
    for kind, items in kinds.items():
        for system in systems:
            for metric in metrics:
                have = [one for one in items if metric.name in one.rows[system] and metric.name in one.rows[FLOOR]]
                if not have:
                    continue
                pairs = [(one.rows[FLOOR][metric.name], one.rows[system][metric.name], one.item.name) for one in have]
                before, after, name = min(pairs, key=lambda pair: (metric.sign * (pair[1] - pair[0]), pair[2]))
                gain = metric.sign * (after - before)
                found.append(Worst(kind, system, metric.name, name, before, after, gain))
    return found


def gap_reasons(items: Sequence[MeasuredItem], rows: Sequence[str], metrics: Sequence[Metric]) -> dict[str, Any]:
    """Metric to how many items have a value in every row, and the reasons of the others with their numbers."""
    counted = {}
    for metric in metrics:
        num_usable = len(usable_items(items, rows, metric))
        reasons = Counter(
            next(item.gaps[row][metric.name] for row in rows if metric.name in item.gaps[row])
            for item in items
            if any(metric.name in item.gaps[row] for row in rows)
        )
        counted[metric.name] = {"num_items": num_usable, "num_without": len(items) - num_usable, "reasons": reasons}
    return counted


def _gains(metric: Metric, values: Sequence[float], before: Sequence[float]) -> list[float]:
    return [metric.sign * (value - earlier) for value, earlier in zip(values, before, strict=True)]
