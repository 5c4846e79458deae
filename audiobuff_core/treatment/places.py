"""Runs of samples: where a mask is set, and the repairs that a mask of changed samples amounts to."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.treatment.protocols import Repair, change_db

Mask = NDArray[np.bool_]


def runs(mask: Mask) -> NDArray[np.int64]:
    """First sample and end of every run of True, shape [runs, 2]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2).astype(np.int64)


def joined(spans: NDArray[np.int64], shortest_pause: int) -> NDArray[np.int64]:
    """`spans` [spans, 2] in order, those less than `shortest_pause` samples apart made one."""
    if len(spans) == 0:
        return spans
    apart = spans[1:, 0] - spans[:-1, 1] >= shortest_pause
    return np.stack([spans[np.append(True, apart), 0], spans[np.append(apart, True), 1]], axis=1)


def repairs_of_channel(
    kind: str, channel: int, before: NDArray[np.float32], after: NDArray[np.float32], sample_rate: int,
    confidence: float, *, joined_within_seconds: float,
) -> list[Repair]:  # fmt: skip
    """One repair for each stretch of samples, shape [samples], that differ between `before` and `after`."""
    spans = joined(runs(before != after), max(1, round(joined_within_seconds * sample_rate)))
    return [
        Repair(
            kind, first / sample_rate, end / sample_rate, (channel,),
            change_db(before[first:end], after[first:end]), confidence,
        )
        for first, end in spans.tolist()
    ]  # fmt: skip
