"""Zimtohrli: how far apart two sounds are to the ear, from just noticeable differences on."""

import numpy as np

from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric, Samples64

SAMPLE_RATE = 48_000


def _compare(comparison: Comparison) -> float:
    from zimtohrli import Pyohrli

    judge = Pyohrli()

    def distance(clean: Samples64, estimate: Samples64) -> float:
        return float(judge.distance(clean.astype(np.float32), estimate.astype(np.float32)))

    return comparison.at(SAMPLE_RATE).over_channels(distance)


ZIMTOHRLI = Metric(
    name="zimtohrli",
    title="Zimtohrli",
    better="lower",
    material=0.0005,
    about="Psychoacoustic distance at 48 kHz (Zimtohrli, Google); 0 for equal sound.",
    compare=_compare,
    packages=("zimtohrli",),
)
