"""Where a recording may be clipped: levels at which its peaks pile up."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Channel = NDArray[np.float32]
Mask = NDArray[np.bool_]

QUIETEST_LEVEL = 0.003
SAME_LEVEL_STEPS = 1.5 / 32768
SHORTEST_RUN = 3
FEWEST_SAMPLES = 8
LEAST_SHARE = 3e-4
LEAST_SHARE_IN_RUNS = 0.4
# A level below the extreme must be met so much less often: in a recording of few bits, they all hold many samples.
LEAST_ABOVE_NEXT = 3.0

NUM_BINS = 400
SPREAD = 0.05
LEAST_PILE = 1.15
CLEAR_PILE = 1.5
CLEAR_PILE_SHARE = 0.001
MOST_ABOVE = 0.2
LOWEST_SHARE_OF_PEAK = 0.35


@dataclass(frozen=True, slots=True)
class ClipLevel:
    """Peaks of one sign that may have been cut.

    Attributes:
        sign: 1 for the upper peaks, -1 for the lower ones.
        lowest: samples at or beyond this level (times `sign`) are suspects.
        exact: whether the tops are flat to the sample; otherwise resampling or a codec has bent them since.
    """

    sign: int
    lowest: float
    exact: bool

    def suspects(self, samples: Channel) -> Mask:
        """Which of `samples`, shape [samples], lie at or beyond the level."""
        return np.asarray(samples >= self.lowest if self.sign > 0 else samples <= -self.lowest)


def find_levels(samples: Channel) -> list[ClipLevel]:
    """Suspicious levels of a channel, shape [samples], at most one for each sign; proof is for others to find."""
    exact = [_exact_level(samples, sign) for sign in (1, -1)]
    if any(exact):
        return [level for level in exact if level is not None]
    blurred = [found for found in (_blurred_level(samples, sign) for sign in (1, -1)) if found is not None]
    # Music has a bump on one side now and then; clipping has one on both, and a clear one at least on one.
    believed = len(blurred) == 2 and any(clear for _, clear in blurred)
    return [level for level, _ in blurred] if believed else []


def _exact_level(samples: Channel, sign: int) -> ClipLevel | None:
    """The extreme, if many of the samples there stand in runs of three or more, and the level below has few."""
    extreme = float(samples.max() if sign > 0 else -samples.min())
    if extreme < QUIETEST_LEVEL:
        return None
    level = ClipLevel(sign, extreme - min(SAME_LEVEL_STEPS, extreme / 100.0), True)
    at_level = level.suspects(samples)
    inner = at_level[1:-1] & at_level[:-2] & at_level[2:]
    in_runs = int(inner.sum()) + 2 * int(np.count_nonzero(np.diff(inner.astype(np.int8)) == 1))
    if in_runs < max(FEWEST_SAMPLES, LEAST_SHARE * len(samples)) or in_runs < LEAST_SHARE_IN_RUNS * at_level.sum():
        return None
    return level if at_level.sum() >= LEAST_ABOVE_NEXT * _at_next(samples * np.float32(sign), at_level) else None


def _at_next(samples: Channel, at_level: Mask) -> int:
    """How many of `samples` are at the highest level that is not reached `at_level`."""
    below = samples[~at_level]
    return int(np.count_nonzero(below >= below.max(initial=0.0) - SAME_LEVEL_STEPS))


def _blurred_level(samples: Channel, sign: int) -> tuple[ClipLevel, bool] | None:
    """The level at which the histogram's tail has a bump, and whether it is a clear one.

    In music left alone, higher peaks are ever rarer.
    """
    extreme = float(samples.max() if sign > 0 else -samples.min())
    if extreme < QUIETEST_LEVEL:
        return None
    counts, edges = np.histogram(samples * np.float32(sign), bins=NUM_BINS, range=(0.0, extreme))
    above = np.append(np.cumsum(counts[::-1])[::-1], 0).astype(np.float64)
    levels = extreme * np.linspace(LOWEST_SHARE_OF_PEAK, 1.0, 131)

    def beyond(factor: float) -> NDArray[np.float64]:
        return np.interp(levels * factor, edges, above)

    pile = beyond(1.0 - SPREAD) - beyond(1.0 + SPREAD)
    below = beyond(1.0 - 3.0 * SPREAD) - beyond(1.0 - SPREAD)
    high_enough = (pile >= max(FEWEST_SAMPLES, LEAST_SHARE * len(samples))) & (
        beyond(1.0 + 2.0 * SPREAD) <= MOST_ABOVE * pile
    )
    ratio = np.where(high_enough, pile / (below + 1.0), 0.0)
    best = int(ratio.argmax())
    if ratio[best] < LEAST_PILE:
        return None
    clear = bool(ratio[best] >= CLEAR_PILE and pile[best] >= CLEAR_PILE_SHARE * len(samples))
    return ClipLevel(sign, float(levels[best]) * (1.0 - SPREAD), False), clear
