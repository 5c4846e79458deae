"""The measurements of one checkpoint on one kind of damage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import pstdev
from typing import Any

from audiobuff_core.evaluation.bootstrap import Interval, mean_interval
from audiobuff_core.evaluation.metrics.protocol import Metric
from audiobuff_core.evaluation.metrics.registry import METRICS as ALL_METRICS

# Those that decide; every clip has them. The others are shown.
METRICS = ("lsd_db", "si_sdr_db")
ROWS = ("degraded", "restored", "ceiling")
# What turns a difference of a metric into a gain, where more is better.
SIGNS = {name: ALL_METRICS[name].sign for name in METRICS}
# A mean change under this is none, however narrow its interval: nobody hears it, and nobody should read it as success.
MATERIAL_DB = 0.1


@dataclass(frozen=True, slots=True)
class ClipMeasures:
    """One clip by every metric that has a value there.

    Attributes:
        track_id: whose clip.
        content_digest: of what decides the clean and the damaged clip: clips are paired by it.
        degraded: metric name to value, of the damaged input: the floor.
        restored: of the network's output.
        ceiling: of the clean clip after the codec's round trip.
    """

    track_id: str
    content_digest: str
    degraded: Mapping[str, float]
    restored: Mapping[str, float]
    ceiling: Mapping[str, float]

    @property
    def gains(self) -> dict[str, float]:
        """By metric, how much better the restored clip is than the damaged one; negative where it is worse."""
        there = [name for name in self.restored if name in self.degraded]
        return {name: ALL_METRICS[name].sign * (self.restored[name] - self.degraded[name]) for name in there}


@dataclass(frozen=True, slots=True, eq=False)
class MetricTable:
    """All clips of one kind after one checkpoint.

    Attributes:
        checkpoint_key: which network.
        kind: which damage.
        digest: of every value.
        path: of the JSON file.
        items: the clips, in the order of their tracks.
        intervals: row (`degraded`, `restored`, `ceiling`) to metric to mean with interval.
        gain_intervals: metric to the paired gain of restored over degraded, positive where better.
        gaps: metric to why it has no figure of some clips or of all, and of how many.
    """

    checkpoint_key: str
    kind: str
    digest: str
    path: str
    items: tuple[ClipMeasures, ...]
    intervals: Mapping[str, Mapping[str, Interval]]
    gain_intervals: Mapping[str, Interval]
    gaps: Mapping[str, str] = field(default_factory=dict)

    @property
    def others(self) -> list[Metric]:
        """The metrics with figures that do not decide."""
        return [one for name, one in ALL_METRICS.items() if name in self.gain_intervals and name not in METRICS]

    @property
    def degraded(self) -> dict[str, float]:
        """Metric to mean of the damaged clips."""
        return {name: interval.mean for name, interval in self.intervals["degraded"].items()}

    @property
    def restored(self) -> dict[str, float]:
        """Metric to mean of the restored clips."""
        return {name: interval.mean for name, interval in self.intervals["restored"].items()}

    @property
    def ceiling(self) -> dict[str, float]:
        """Metric to mean of the codec's round trip of the clean clips."""
        return {name: interval.mean for name, interval in self.intervals["ceiling"].items()}

    @property
    def gains(self) -> dict[str, dict[str, Any]]:
        """Metric to {mean, low, high, num_values, confidence, excludes_zero} of the paired gain."""
        return {
            name: {**interval.as_dict(), "excludes_zero": interval.excludes_zero}
            for name, interval in self.gain_intervals.items()
        }

    @property
    def lost(self) -> tuple[str, ...]:
        """The deciding metrics by which restoration clearly harmed this kind."""
        return tuple(name for name in METRICS if is_clear(gain := self.gain_intervals[name]) and gain.mean < 0)

    @property
    def harmed(self) -> list[Metric]:
        """The other metrics by which it did."""
        return [
            metric
            for metric in self.others
            if (gain := self.gain_intervals[metric.name]).excludes_zero and gain.mean <= -metric.material
        ]

    @property
    def closed_shares(self) -> dict[str, float | None]:
        """Metric to the share of the gap from floor to ceiling that was closed; None where there is no gap."""
        shares: dict[str, float | None] = {}
        for name, gain in self.gain_intervals.items():
            metric = ALL_METRICS[name]
            gap = metric.sign * (self.ceiling[name] - self.degraded[name])
            shares[name] = gain.mean / gap if metric.needs_reference and gap > metric.material else None
        return shares

    def worst(self, num_clips: int = 20) -> list[ClipMeasures]:
        """The clips with the smallest gains, by the sum over metrics of gain in units of the metric's spread."""
        spreads = {name: _spread([item.gains[name] for item in self.items]) for name in METRICS}
        ordered = sorted(
            self.items, key=lambda item: (sum(item.gains[name] / spreads[name] for name in METRICS), item.track_id)
        )
        return ordered[:num_clips]


def is_clear(gain: Interval) -> bool:
    """Whether a gain is surely there, one way or the other, and large enough to matter."""
    return gain.excludes_zero and abs(gain.mean) >= MATERIAL_DB


def summarise(
    items: Sequence[ClipMeasures], *, seed: int
) -> tuple[dict[str, dict[str, Interval]], dict[str, Interval]]:
    """`intervals` and `gain_intervals` of a `MetricTable` of `items`; `seed` is that of the bootstrap.

    Each metric is over the clips that have a value in every row; one that no clip has is in neither.
    """
    intervals: dict[str, dict[str, Interval]] = {row: {} for row in ROWS}
    gains: dict[str, Interval] = {}
    for name in ALL_METRICS:
        usable = [item for item in items if all(name in getattr(item, row) for row in ROWS)]
        if usable:
            for row in ROWS:
                intervals[row][name] = mean_interval([getattr(item, row)[name] for item in usable], seed=seed)
            gains[name] = mean_interval([item.gains[name] for item in usable], seed=seed)
    return intervals, gains


def _spread(values: Sequence[float]) -> float:
    return max(1e-9, pstdev(values))
