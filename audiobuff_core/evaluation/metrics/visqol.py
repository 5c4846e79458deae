"""ViSQOL: what listeners would say of the difference, on the scale of mean opinions."""

from functools import lru_cache
from typing import Any

from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric, Samples64

SAMPLE_RATE = 48_000
SHORTEST_SECONDS = 1.0


def _compare(comparison: Comparison) -> float:
    if comparison.clean.waveform.duration_seconds < SHORTEST_SECONDS:
        raise NotMeasurable(f"shorter than {SHORTEST_SECONDS:g} s")

    def opinion(clean: Samples64, estimate: Samples64) -> float:
        return float(_judge().measure_from_arrays(clean, estimate, SAMPLE_RATE).moslqo)

    return comparison.at(SAMPLE_RATE).over_channels(opinion)


@lru_cache(maxsize=1)
def _judge() -> Any:  # noqa: ANN401 - of an optional package
    from visqol import VisqolApi

    judge = VisqolApi()
    judge.create(mode="audio", disable_global_alignment=True, disable_realignment=True)
    return judge


VISQOL = Metric(
    name="visqol_mos",
    title="ViSQOL",
    unit="MOS",
    better="higher",
    material=0.05,
    about="ViSQOL v3 in its mode for music and general audio at 48 kHz, 1 to 4.73, the best; "
    "without its own alignment, as what is compared here is aligned.",
    compare=_compare,
    packages=("visqol", "libsvm"),
)
