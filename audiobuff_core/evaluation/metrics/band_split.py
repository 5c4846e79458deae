"""The log-spectral distance below and above the edge of a band-limited input: what was kept, and what was made up."""

import numpy as np

from audiobuff_core.audio.bandwidth import band_edge_hz
from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.lsd import WINDOW_SAMPLES, spectral_distance_db, spectrum_db
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric


def _edge_bin(comparison: Comparison) -> int:
    if comparison.degraded is None:
        raise NotMeasurable("the damaged input is not known")
    edge_hz = comparison.degraded.derived(band_edge_hz)
    if edge_hz is None:
        raise NotMeasurable("nothing cut the band of the damaged input off")
    return round(edge_hz * WINDOW_SAMPLES / comparison.degraded.sample_rate)


def _distance_db(comparison: Comparison, bins: slice) -> float:
    pairs = zip(comparison.clean.derived(spectrum_db), comparison.estimate.derived(spectrum_db), strict=True)
    return float(np.mean([spectral_distance_db(clean[:, bins], estimate[:, bins]) for clean, estimate in pairs]))


LSD_LOW = Metric(
    name="lsd_low_db",
    title="LSD below the edge",
    unit="dB",
    better="lower",
    material=0.1,
    about="LSD of the bins below the band edge of the damaged input, where it has one: how well the band that was "
    "there is kept.",
    compare=lambda comparison: _distance_db(comparison, slice(0, _edge_bin(comparison))),
)
LSD_HIGH = Metric(
    name="lsd_high_db",
    title="LSD above the edge",
    unit="dB",
    better="lower",
    material=0.1,
    about="LSD of the bins above the band edge of the damaged input, where it has one: how well the band that was "
    "lost is found again.",
    compare=lambda comparison: _distance_db(comparison, slice(_edge_bin(comparison), None)),
)
