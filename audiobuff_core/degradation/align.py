"""Undoing the delay that a filter or codec brings."""

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]


def delay_samples(reference: Signal, delayed: Signal, *, most_samples: int) -> int:
    """By how many samples `delayed` comes after `reference` (negative: before), at most `most_samples` either way.

    The lag of the largest cross-correlation, summed over channels; both [channels, samples]. Silence has no delay.
    """
    num_samples = reference.shape[1]
    most_samples = min(most_samples, num_samples - 1)
    num_points = 1 << (num_samples + most_samples).bit_length()
    spectrum = np.conj(np.fft.rfft(reference, num_points)) * np.fft.rfft(delayed, num_points)
    correlation = np.fft.irfft(spectrum.sum(axis=0), num_points)
    lags = np.arange(-most_samples, most_samples + 1)
    values = correlation[lags]
    best = float(values.max())
    if best <= 0.0:
        return 0
    # Among equals, as in a constant or a slow tone, the smallest shift.
    candidates = lags[values >= best * (1.0 - 1e-9)]
    return int(candidates[np.argmin(np.abs(candidates))])


def aligned(reference: Signal, delayed: Signal, *, most_samples: int) -> Signal:
    """`delayed` moved onto `reference`, with its shape; what moves in from outside is zero."""
    return shifted(delayed, -delay_samples(reference, delayed, most_samples=most_samples))


def shifted(samples: Signal, by_samples: int) -> Signal:
    """`samples` [channels, samples] moved later (positive) or earlier, of the same shape, with zeros moved in."""
    moved = np.zeros_like(samples)
    num_samples = samples.shape[1]
    if abs(by_samples) >= num_samples:
        return moved
    if by_samples >= 0:
        moved[:, by_samples:] = samples[:, : num_samples - by_samples]
    else:
        moved[:, :by_samples] = samples[:, -by_samples:]
    return moved
