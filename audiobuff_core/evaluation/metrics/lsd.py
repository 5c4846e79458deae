"""Log-spectral distance."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.errors import InvalidAudio

WINDOW_SAMPLES = 2048
HOP_SAMPLES = 512
FLOOR_DB = -110.0


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
