"""What faults that follow the level share: the level, and a gain that goes after it, a thousand times a second."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

STEPS_HZ = 1000
FLOOR_DB = -120.0


def step_samples(sample_rate: int) -> int:
    """Samples in one step of a millisecond, at least one."""
    return max(1, round(sample_rate / STEPS_HZ))


def peak_levels_db(samples: Samples, sample_rate: int) -> Samples:
    """The peak over all channels in each step, in dB below the track's peak; -120 for silence."""
    width = step_samples(sample_rate)
    heights = np.abs(samples).max(axis=0)
    peak = float(heights.max())
    if peak == 0.0:
        return np.full(-(-len(heights) // width), FLOOR_DB)
    missing = -len(heights) % width
    steps = np.pad(heights, (0, missing)).reshape(-1, width).max(axis=1) / peak
    return np.asarray(20.0 * np.log10(np.maximum(steps, 10.0 ** (FLOOR_DB / 20.0))))


def followed(levels: Samples, rise_ms: float, fall_ms: float, *, start: float) -> Samples:
    """`levels` [steps], in dB, smoothed by one pole: `rise_ms` to go 63 % of a rise, `fall_ms` of a fall."""
    rise, fall = (1.0 - np.exp(-1000.0 / (STEPS_HZ * max(time, 1e-3))) for time in (rise_ms, fall_ms))
    smooth = np.empty_like(levels)
    now = start
    for place, level in enumerate(levels.tolist()):  # plain numbers: an array's items are ten times slower
        now += (rise if level > now else fall) * (level - now)
        smooth[place] = now
    return smooth


def gain_curve(gains_db: Samples, num_samples: int, sample_rate: int) -> Samples:
    """Gains in dB [steps], each at the middle of its step, as linear gains [samples]."""
    width = step_samples(sample_rate)
    middles = (np.arange(len(gains_db)) + 0.5) * width
    return np.asarray(10.0 ** (np.interp(np.arange(num_samples), middles, gains_db) / 20.0))
