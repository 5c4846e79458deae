"""Energy where the clean recording has none: in its silence, above its band, and under its noise floor."""

import numpy as np

from audiobuff_core.audio.bandwidth import bandwidth_hz
from audiobuff_core.audio.levels import FRAME_SECONDS, SILENT_DB
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.lsd import FLOOR_DB, WINDOW_SAMPLES, spectrum_db
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric, Samples64

# Mean square that counts as nothing: -90 dB of full scale, a little over the rounding to 16 bits.
NOTHING = 1e-9
# The window spreads what is below the edge over so many bins.
SPREAD_BINS = 3
FULL_BAND_SHARE = 0.95
FLOOR_QUANTILE = 0.1
FLOOR_MARGIN_DB = 3.0


def added_db(clean_power: float, estimate_power: float) -> float:
    """By how many dB `estimate_power` exceeds `clean_power`, both with -90 dB of full scale added; 0 where it doesn't.

    Args:
        clean_power: mean square, 1 at full scale.
        estimate_power: the same of the estimate.
    """
    return max(0.0, 10 * float(np.log10((estimate_power + NOTHING) / (clean_power + NOTHING))))


def frame_power(waveform: Waveform) -> Samples64:
    """Mean square of frames of 50 ms over all channels, shape [frames]; what is left after the last does not count."""
    length = max(1, min(waveform.num_samples, round(FRAME_SECONDS * waveform.sample_rate)))
    num_frames = waveform.num_samples // length
    framed = waveform.samples[:, : num_frames * length].reshape(waveform.channels, num_frames, length)
    return np.asarray(np.square(framed, dtype=np.float64).mean(axis=(0, 2)))


def spectral_power(waveform: Waveform) -> Samples64:
    """What each bin adds to the mean square, shape [frames, 1025], the mean over channels."""
    mean = np.mean([10 ** (channel / 10) for channel in spectrum_db(waveform)], axis=0)
    return np.asarray((mean - 10 ** (FLOOR_DB / 10)) / 3)  # a sine's mean square is a half, a Hann line is 1.5 bins


def _in_silence(comparison: Comparison) -> float:
    clean, estimate = comparison.clean.derived(frame_power), comparison.estimate.derived(frame_power)
    silent = clean < 10 ** (SILENT_DB / 10)
    if not silent.any():
        raise NotMeasurable("the clean recording is nowhere silent")
    return added_db(float(clean[silent].mean()), float(estimate[silent].mean()))


def _above_band(comparison: Comparison) -> float:
    edge_hz = comparison.clean.derived(bandwidth_hz)
    if edge_hz > FULL_BAND_SHARE * comparison.clean.sample_rate / 2:
        raise NotMeasurable("the clean recording fills the whole band")
    first = int(edge_hz * WINDOW_SAMPLES / comparison.clean.sample_rate) + SPREAD_BINS
    clean, estimate = comparison.clean.derived(spectral_power), comparison.estimate.derived(spectral_power)
    return added_db(float(clean[:, first:].sum(axis=1).mean()), float(estimate[:, first:].sum(axis=1).mean()))


def _below_floor(comparison: Comparison) -> float:
    clean, estimate = comparison.clean.derived(spectral_power), comparison.estimate.derived(spectral_power)
    floor = np.quantile(clean, FLOOR_QUANTILE, axis=0, keepdims=True)
    quiet = clean <= floor * 10 ** (FLOOR_MARGIN_DB / 10)
    powers = [float(((power * quiet).sum(axis=0) / quiet.sum(axis=0)).sum()) for power in (clean, estimate)]
    return added_db(powers[0], powers[1])


SILENCE_ADDED = Metric(
    name="silence_added_db",
    title="Added in silence",
    unit="dB",
    better="lower",
    material=0.5,
    group="harm",
    about="By how much the level rises in frames of 50 ms in which the clean recording is under -60 dB of full scale; "
    "0 where nothing was added.",
    compare=_in_silence,
    needs_sound=False,
)
BAND_ADDED = Metric(
    name="band_added_db",
    title="Added above the band",
    unit="dB",
    better="lower",
    material=0.5,
    group="harm",
    about="By how much the level rises above the highest frequency of the clean recording (60 dB under its loudest); "
    "0 where nothing was added.",
    compare=_above_band,
)
FLOOR_ADDED = Metric(
    name="floor_added_db",
    title="Added under the floor",
    unit="dB",
    better="lower",
    material=0.5,
    group="harm",
    about="By how much the level rises at the times and frequencies at which the clean recording is at its own noise "
    "floor (the quietest tenth of each frequency, and 3 dB more); 0 where nothing was added.",
    compare=_below_floor,
)
