"""Peaks between the samples, and holding them where a file could not."""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.signal import resample_poly

from audiobuff_core.audio.waveform import Samples, Waveform

OVERSAMPLING = 4
REACH_SECONDS = 0.005
# Peaks between samples are at most a few dB above them: where all samples are lower than this, none are looked for.
_LOUD_SHARE = 0.7
_CHUNK_SAMPLES, _BLOCK_SAMPLES, _CONTEXT_SAMPLES = 1 << 18, 1024, 32


def true_peak(waveform: Waveform) -> float:
    """The highest magnitude of `waveform`, linear, four times oversampled (ITU-R BS.1770-4, annex 2)."""
    peak = float(np.abs(waveform.samples).max())
    return max((float(levels.max()) for _, levels in _oversampled(waveform.samples, _LOUD_SHARE * peak)), default=peak)


def limit_peaks(samples: Samples, sample_rate: int, *, largest: float, largest_true: float) -> list[tuple[int, int]]:
    """Turn `samples` [channels, samples] down, in place, around peaks that exceed a limit; the places [first, last).

    All channels alike, by a gain that falls and rises over 5 ms. What does not exceed is not touched.

    Args:
        samples: float32.
        sample_rate: in Hz.
        largest: magnitude of a sample.
        largest_true: magnitude between samples.
    """
    over, gains = _exceeding(samples, largest, largest_true)
    if not len(over):
        return []
    reach = max(1, round(REACH_SECONDS * sample_rate))
    places = []
    for group in np.split(np.arange(len(over)), np.flatnonzero(np.diff(over) > 4 * reach) + 1):
        first, last = (
            max(0, int(over[group[0]]) - 2 * reach),
            min(samples.shape[1], int(over[group[-1]]) + 2 * reach + 1),
        )
        needed = np.ones(last - first, np.float64)
        needed[over[group] - first] = gains[group]
        held = minimum_filter1d(needed, 2 * reach + 1, mode="constant", cval=1.0)
        smooth = uniform_filter1d(held, 2 * reach + 1, mode="constant", cval=1.0)
        samples[:, first:last] *= np.minimum(smooth, needed).astype(np.float32)
        places.append((first, last))
    return places


def _exceeding(samples: Samples, largest: float, largest_true: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The samples that exceed a limit, and the gain that each of them needs."""
    places, gains = [np.zeros(0, np.int64)], [np.zeros(0)]
    for first, levels in _oversampled(samples, _LOUD_SHARE * min(largest, largest_true)):
        magnitude = np.abs(samples[:, first : first + len(levels)]).max(axis=0)
        gain = np.minimum(largest / np.maximum(magnitude, largest), largest_true / np.maximum(levels, largest_true))
        over = np.flatnonzero(gain < 1.0)
        places.append(over + first)
        gains.append(gain[over].astype(np.float64))
    return np.concatenate(places), np.concatenate(gains)


def _oversampled(samples: Samples, threshold: float) -> Iterator[tuple[int, Samples]]:
    """Of each block with a sample above `threshold`: where it begins, and the largest magnitude around each sample."""
    for first in range(0, samples.shape[1], _CHUNK_SAMPLES):
        last = min(samples.shape[1], first + _CHUNK_SAMPLES)
        begin, end = max(0, first - _CONTEXT_SAMPLES), min(samples.shape[1], last + _CONTEXT_SAMPLES)
        missing = -(last - first) % _BLOCK_SAMPLES
        around = (_CONTEXT_SAMPLES - (first - begin), _CONTEXT_SAMPLES - (end - last) + missing)
        wide = np.pad(samples[:, begin:end], ((0, 0), around))
        blocks = sliding_window_view(wide, _BLOCK_SAMPLES + 2 * _CONTEXT_SAMPLES, axis=1)[:, ::_BLOCK_SAMPLES]
        inside = blocks[..., _CONTEXT_SAMPLES:-_CONTEXT_SAMPLES]
        loudest = np.maximum(inside.max(axis=(0, 2)), -inside.min(axis=(0, 2)))
        chosen = np.flatnonzero(loudest > threshold)
        if not len(chosen):
            continue
        fine = np.abs(resample_poly(blocks[:, chosen], OVERSAMPLING, 1, axis=2)).max(axis=0)
        fine = fine[:, _CONTEXT_SAMPLES * OVERSAMPLING :][:, : _BLOCK_SAMPLES * OVERSAMPLING]
        levels = fine.reshape(len(chosen), _BLOCK_SAMPLES, OVERSAMPLING).max(axis=2).astype(np.float32)
        for block, level in zip(chosen, levels, strict=True):
            place = first + int(block) * _BLOCK_SAMPLES
            yield place, level[: last - place]
