"""What faults that follow the level share: the level, and a gain that goes after it, a thousand times a second."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.floating]

STEPS_HZ = 1000
FLOOR_DB = -120.0


def step_samples(sample_rate: int) -> int:
    """Samples in one step of a millisecond, at least one."""
    return max(1, round(sample_rate / STEPS_HZ))


def peak_levels_db(samples: Samples, sample_rate: int) -> Samples:
    """The peak over all channels in each step, in dB below the track's peak; -120 for silence."""
    width = step_samples(sample_rate)
    starts = np.arange(0, samples.shape[1], width)
    heights = np.abs(samples)
    # The bits of numbers that are not negative are in their order, and whole numbers are compared twice as fast.
    bits = np.maximum.reduceat(heights.view(f"i{heights.itemsize}"), starts, axis=1).max(axis=0)
    steps = bits.view(heights.dtype).astype(np.float64)
    peak = float(steps.max())
    if peak == 0.0:
        return np.full(len(steps), FLOOR_DB)
    return np.asarray(20.0 * np.log10(np.maximum(steps / peak, 10.0 ** (FLOOR_DB / 20.0))))


def followed(levels: Samples, rise_ms: float, fall_ms: float, *, start: float) -> Samples:
    """`levels` [steps], in dB, smoothed by one pole: `rise_ms` to go 63 % of a rise, `fall_ms` of a fall."""
    rise, fall = (float(1.0 - np.exp(-1000.0 / (STEPS_HZ * max(time, 1e-3)))) for time in (rise_ms, fall_ms))
    # Plain numbers: an array's items are ten times slower.
    return np.fromiter(_following(levels.tolist(), rise, fall, start), np.float64, len(levels))


def _following(levels: Iterable[float], rise: float, fall: float, now: float) -> Iterator[float]:
    for level in levels:
        step = level - now
        now += rise * step if step > 0.0 else fall * step
        yield now


def gain_curve(gains_db: Samples, num_samples: int, sample_rate: int) -> Samples:
    """Gains in dB [steps], each at the middle of its step and straight lines between, as linear gains [samples]."""
    width = step_samples(sample_rate)
    gains = np.exp(gains_db * (np.log(10.0) / 20.0)).astype(np.float32)  # in a third of the time of a power of ten
    lead = -(-width // 2)  # the first sample at or after the middle of the first step
    ways = ((np.arange(lead, lead + width) - 0.5 * width) / width).astype(np.float32)
    curve = np.empty(lead + len(gains) * width, np.float32)
    curve[:lead], curve[-width:] = gains[0], gains[-1]
    lines = curve[lead:-width].reshape(-1, width)
    np.einsum("i,j->ij", np.diff(gains), ways, out=lines)  # twice as fast as a broadcast product of such short rows
    lines += gains[:-1, np.newaxis]
    return curve[:num_samples]
