"""Every metric by name, in the order of tables. A new metric is one line here."""

from collections.abc import Sequence

from audiobuff_core.errors import MetricUnavailable
from audiobuff_core.evaluation.metrics.lsd import LSD, LSD_LOG10
from audiobuff_core.evaluation.metrics.protocol import Metric
from audiobuff_core.evaluation.metrics.si_sdr import SI_SDR
from audiobuff_core.evaluation.metrics.visqol import VISQOL
from audiobuff_core.evaluation.metrics.zimtohrli import ZIMTOHRLI

_ALL = (SI_SDR, LSD, ZIMTOHRLI, VISQOL, LSD_LOG10)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
# Enough to rank restorations of any sound; the first that is there is what items are ranked by.
MAIN = ("zimtohrli", "visqol_mos", "lsd_db", "si_sdr_db")


def find_metrics(names: Sequence[str] | None = None) -> tuple[Metric, ...]:
    """The metrics called `names`, or all of them, installed or not.

    Raises:
        MetricUnavailable: no metric has one of the names.
    """
    unknown = [name for name in names or () if name not in METRICS]
    if unknown:
        raise MetricUnavailable(f"No metric is called {', '.join(unknown)}: expected some of {', '.join(METRICS)}")
    return tuple(METRICS[name] for name in names) if names else tuple(METRICS.values())
