"""Whether loudness was kept, and whether peaks go over full scale."""

from audiobuff_core.audio.levels import true_peak_db
from audiobuff_core.audio.loudness import loudness_lufs
from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric

GATE_LUFS = -70.0


def _loudness_change(comparison: Comparison) -> float:
    clean, estimate = comparison.clean.derived(loudness_lufs), comparison.estimate.derived(loudness_lufs)
    if clean is None:
        raise NotMeasurable("the clean recording has no loudness: under 0.4 s or -70 LUFS, or over five channels")
    return abs((GATE_LUFS if estimate is None else estimate) - clean)


def _over(comparison: Comparison) -> float:
    """How far the true peak is over that of the clean recording or full scale, whichever is higher."""
    clean, estimate = comparison.clean.derived(true_peak_db), comparison.estimate.derived(true_peak_db)
    allowed = max(0.0, clean) if clean is not None else 0.0
    return max(0.0, (estimate if estimate is not None else allowed) - allowed)


LUFS_DELTA = Metric(
    name="lufs_delta",
    title="Loudness error",
    unit="LU",
    better="lower",
    material=0.1,
    group="level",
    about="How far the integrated loudness (ITU-R BS.1770-4) is from that of the clean recording, either way.",
    compare=_loudness_change,
)
TRUE_PEAK_OVER = Metric(
    name="true_peak_over_db",
    title="True peak over",
    unit="dB",
    better="lower",
    material=0.1,
    group="level",
    about="How far the true peak (ITU-R BS.1770-4, four times oversampled) exceeds full scale, or the peak of the "
    "clean recording where that is higher; 0 where it does not.",
    compare=_over,
    needs_sound=False,
)
