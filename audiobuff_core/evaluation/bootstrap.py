"""How sure a mean over a few clips is."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.errors import DataMissing
from audiobuff_core.seeding import numpy_generator

NUM_RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its bootstrap interval.

    Attributes:
        mean: of the values.
        low: lower end; equal to the mean where there is only one value.
        high: upper end.
        num_values: how many values it is the mean of.
        confidence: share of resamples between the ends.
    """

    mean: float
    low: float
    high: float
    num_values: int
    confidence: float = 0.95

    @property
    def can_decide(self) -> bool:
        """Whether there are values enough to exclude zero at all.

        With `n` values of one sign a two-sided sign test gives `2^(1 - n)`, so six are the fewest that can speak at
        95 %, however narrow the resampled interval looks.
        """
        return self.num_values >= 1 - math.log2(1 - self.confidence)

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero and there are values enough to say so."""
        return self.can_decide and (self.low > 0 or self.high < 0)

    def as_dict(self) -> dict[str, float]:
        """The fields, for a manifest."""
        return asdict(self)


def mean_interval(values: Sequence[float], *, seed: int, confidence: float = 0.95) -> Interval:
    """The mean of `values` and its percentile bootstrap interval (Efron, 1979), 10,000 resamples.

    For a paired comparison pass the differences. The interval is a little narrow for fewer than about ten values.

    Args:
        values: one number a clip, finite.
        seed: of the resampling; the same values and seed give the same interval.
        confidence: share of the resampled means between the two ends, in (0, 1).

    Raises:
        DataMissing: there are no values.
        ValueError: a value is not finite.
    """
    if len(values) == 0:
        raise DataMissing("A mean of no values: expected at least one clip; check that the evaluation set has any")
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"A mean of {values}: expected finite numbers; hold infinite ratios first")
    low, high = _ends(_draws(len(numbers), seed) @ numbers, confidence)
    return Interval(float(numbers.mean()), low, high, len(numbers), confidence)


def ratio_interval(
    values: Sequence[float], wholes: Sequence[float], *, seed: int, confidence: float = 0.95
) -> Interval | None:
    """The ratio of the means of paired `values` and `wholes` with its bootstrap interval.

    None where a mean of resampled `wholes` is not positive: the ratio would mean nothing.

    Raises:
        DataMissing: there are no values.
    """
    if len(values) == 0:
        raise DataMissing("A ratio of no values: expected at least one clip; check that the evaluation set has any")
    draws = _draws(len(values), seed)
    numerators, denominators = draws @ np.asarray(values), draws @ np.asarray(wholes)
    if denominators.min() <= 0:
        return None
    low, high = _ends(numerators / denominators, confidence)
    return Interval(float(np.mean(values) / np.mean(wholes)), low, high, len(values), confidence)


@lru_cache(maxsize=8)
def _draws(num_values: int, seed: int) -> NDArray[np.float64]:
    """The weight of each value in each resample, shape [NUM_RESAMPLES, num_values]; each row sums to 1."""
    drawn = numpy_generator("bootstrap", seed).integers(0, num_values, size=(NUM_RESAMPLES, num_values))
    places = (drawn + np.arange(NUM_RESAMPLES)[:, None] * num_values).ravel()
    counts = np.bincount(places, minlength=NUM_RESAMPLES * num_values).reshape(NUM_RESAMPLES, num_values)
    return counts / num_values


def _ends(means: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)
