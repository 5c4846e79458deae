"""Undoing the delay that a filter or codec brings."""

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.floating]

# A filter or codec delays all of a recording alike: its loudest piece of this length, and of so many delays, shows it.
PIECE_SAMPLES = 8_192
PIECE_DELAYS = 32


def delay_samples(reference: Signal, delayed: Signal, *, most_samples: int) -> int:
    """By how many samples `delayed` comes after `reference` (negative: before), at most `most_samples` either way.

    The lag of the largest cross-correlation of the loudest piece, summed over channels; both [channels, samples].
    Silence has no delay.
    """
    piece = _loudest_piece(reference, max(PIECE_SAMPLES, PIECE_DELAYS * most_samples))
    reference, delayed = reference[:, piece].astype(np.float64), delayed[:, piece].astype(np.float64)
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


def _loudest_piece(samples: Signal, length: int) -> slice:
    """Where `length` samples have the most energy, all of them if there are fewer; pieces begin at half lengths."""
    num_halves = samples.shape[1] // (length // 2)
    if num_halves < 3:
        return slice(None)
    halves = samples[:, : num_halves * (length // 2)].reshape(len(samples), num_halves, -1)
    energies = np.einsum("cps,cps->p", halves, halves)
    start = int(np.argmax(energies[:-1] + energies[1:])) * (length // 2)
    return slice(start, start + length)


def aligned(reference: Signal, delayed: Signal, *, most_samples: int) -> Signal:
    """`delayed` moved onto `reference`, with its shape; what moves in from outside is zero.

    `delayed` may be longer: then what it has after the end moves in.
    """
    num_samples = reference.shape[1]
    delay = delay_samples(reference, delayed[:, :num_samples], most_samples=most_samples)
    return (shifted(delayed, -delay) if delay else delayed)[:, :num_samples]


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
