"""Log-spectral distance."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidAudio
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric

WINDOW_SAMPLES = 2048
HOP_SAMPLES = 512
FLOOR_DB = -110.0
# Of the unscaled spectrum of `lsd_log10`.
POWER_FLOOR = 1e-10


def log_power_db(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log power spectrogram that the distance compares.

    Periodic Hann window of 2048 samples, hop 512, no centring; the end is filled with zeros until every sample is in a
    frame. A full-scale sine reads 0 dB. `FLOOR_DB` is added as power before the logarithm: it lies 16 dB above the
    rounding noise of 16-bit audio, so that digital silence and dither count as the same thing.

    Args:
        samples: shape [samples], at least one.

    Returns:
        dB, shape [frames, 1025], at least `FLOOR_DB`.
    """
    num_samples = len(samples)
    num_frames = max(0, -((WINDOW_SAMPLES - num_samples) // HOP_SAMPLES)) + 1
    padded = np.zeros(WINDOW_SAMPLES + (num_frames - 1) * HOP_SAMPLES)
    padded[:num_samples] = samples
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::HOP_SAMPLES] * window
    amplitude = np.abs(np.fft.rfft(frames, axis=1)) / (window.sum() / 2)
    decibels: NDArray[np.float64] = 10.0 * np.log10(amplitude**2 + 10.0 ** (FLOOR_DB / 10))
    return decibels


def lsd_db(reference: NDArray[np.float64], estimate: NDArray[np.float64]) -> float:
    """Log-spectral distance in dB, lower is better, 0 for equal spectra.

    The convention is that of 10 log10 power in decibels: per frame the root of the mean squared difference over
    bins, then the mean over frames (Gray and Markel, 1976). Papers that use log10 power without the factor ten
    print a tenth of these figures.

    Args:
        reference: shape [samples], full scale +-1.
        estimate: shape [samples], the same length.

    Raises:
        InvalidAudio: the shapes differ, or there are no samples.
    """
    if reference.shape != estimate.shape or reference.ndim != 1 or len(reference) == 0:
        raise InvalidAudio(
            f"LSD of shapes {reference.shape} and {estimate.shape}: expected two equal ones of [samples]"
        )
    return spectral_distance_db(log_power_db(reference), log_power_db(estimate))


def spectral_distance_db(reference_db: NDArray[np.float64], estimate_db: NDArray[np.float64]) -> float:
    """The distance of two spectrograms of `log_power_db`, shape [frames, bins]: `lsd_db` for a known reference."""
    return float(np.sqrt(((reference_db - estimate_db) ** 2).mean(axis=1)).mean())


def lsd_log10(reference: NDArray[np.float64], estimate: NDArray[np.float64]) -> float:
    """Log-spectral distance by the convention of super-resolution papers, lower is better, 0 for equal spectra.

    As `lsd_db`, but of log10 power, without the factor ten and of the unscaled spectrum, in which the floor of
    `POWER_FLOOR` is next to nothing: differences deep below the audible count in full. (Wang and Wang, 2021; AudioSR.)

    Args:
        reference: shape [samples], full scale +-1.
        estimate: shape [samples], the same length.
    """
    scale = (WINDOW_SAMPLES / 4) ** 2  # what `log_power_db` divides by
    floor = 10.0 ** (FLOOR_DB / 10)
    spectra = [scale * (10.0 ** (log_power_db(one) / 10) - floor) for one in (reference, estimate)]
    logarithms = [np.log10(np.maximum(power, 0.0) + POWER_FLOOR) for power in spectra]
    return spectral_distance_db(logarithms[0], logarithms[1])


def spectrum_db(waveform: Waveform) -> list[NDArray[np.float64]]:
    """`log_power_db` of each channel."""
    return [log_power_db(channel) for channel in waveform.samples.astype(np.float64)]


def _compare(comparison: Comparison) -> float:
    pairs = zip(comparison.clean.derived(spectrum_db), comparison.estimate.derived(spectrum_db), strict=True)
    return float(np.mean([spectral_distance_db(clean, estimate) for clean, estimate in pairs]))


LSD = Metric(
    name="lsd_db",
    title="LSD",
    unit="dB",
    better="lower",
    material=0.1,
    about="Log-spectral distance (Gray and Markel, 1976): 2048-sample Hann windows, hop 512, 10 log10 power with a "
    "floor at -110 dB of full scale, root mean square over bins, mean over frames.",
    compare=_compare,
)
LSD_LOG10 = Metric(
    name="lsd_log10",
    title="LSD (log10)",
    better="lower",
    material=0.01,
    about="Log-spectral distance as super-resolution papers print it: log10 power without the factor ten, next to no "
    "floor (Wang and Wang, 2021).",
    compare=lambda comparison: comparison.over_channels(lsd_log10),
)
