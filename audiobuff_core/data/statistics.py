"""Mean and spread per channel, kept as sums so that any choice of records can be merged exactly."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A channel that hardly ever sounds must not be blown up to unit variance: noise there would drown the rest.
STD_FLOOR_SHARE = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class ChannelStatistics:
    """Sums over valid frames.

    Attributes:
        count: number of frames.
        total: float64 [dim], sum of the values.
        squares: float64 [dim], sum of the squared values.
    """

    count: int
    total: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def of(cls, frames: NDArray[np.float32]) -> "ChannelStatistics":
        """The sums of `frames` [frames, dim]."""
        exact = frames.astype(np.float64)
        return cls(len(frames), exact.sum(axis=0), np.square(exact).sum(axis=0))

    @classmethod
    def merged(cls, parts: Iterable["ChannelStatistics"]) -> "ChannelStatistics":
        """The sums over all `parts`, in their order.

        Raises:
            ValueError: there are none, or their widths differ.
        """
        together = list(parts)
        if len({part.total.shape for part in together}) != 1:
            raise ValueError(f"Statistics of {len(together)} parts: expected at least one, all of the same width")
        return cls(
            sum(part.count for part in together),
            np.sum([part.total for part in together], axis=0),
            np.sum([part.squares for part in together], axis=0),
        )

    @property
    def mean(self) -> NDArray[np.float64]:
        """[dim]; zeros if there are no frames."""
        mean: NDArray[np.float64] = self.total / max(self.count, 1)
        return mean

    @property
    def std(self) -> NDArray[np.float64]:
        """[dim], positive: at least 2 % of the root mean square of all channels' deviations, or 1 if none deviates."""
        variance = np.maximum(self.squares / max(self.count, 1) - np.square(self.mean), 0)
        overall = float(np.sqrt(variance.mean()))
        floor = STD_FLOOR_SHARE * overall if overall > 1e-12 else 1.0
        return np.maximum(np.sqrt(variance), floor)
