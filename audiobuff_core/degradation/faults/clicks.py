"""Clicks and pops of a scratched medium."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

LOCAL_SECONDS = 0.05
QUIET_SHARE = 0.05


def apply(samples: Samples, sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] plus `rate_hz` clicks a second (Poisson, at least one), the same in all channels.

    A click is a decaying burst of `shortest_ms` to `longest_ms`, its peak `lowest_db` to `highest_db` over the RMS of
    the 50 ms around it; in passages 26 dB under the track's RMS that level counts. Silence stays silent.
    """
    num_samples = samples.shape[1]
    num_clicks = max(1, int(generator.poisson(float(parameters["rate_hz"]) * num_samples / sample_rate)))
    starts = generator.integers(0, num_samples, num_clicks)
    widths_ms = generator.uniform(float(parameters["shortest_ms"]), float(parameters["longest_ms"]), num_clicks)
    widths = np.maximum(2, np.round(widths_ms * sample_rate / 1000.0)).astype(np.int64)
    levels_db = generator.uniform(float(parameters["lowest_db"]), float(parameters["highest_db"]), num_clicks)
    signs = generator.choice([-1.0, 1.0], num_clicks)
    damaged = samples.copy()
    amplitudes = signs * _local_rms(samples, starts, sample_rate) * 10.0 ** (levels_db / 20.0)
    for start, width, amplitude in zip(starts, widths, amplitudes, strict=True):
        burst = generator.standard_normal(width) * np.exp(-3.0 * np.arange(width) / width)
        burst[0] = 1.0
        burst /= np.abs(burst).max()
        kept = min(int(width), num_samples - int(start))
        damaged[:, start : start + kept] += amplitude * burst[:kept]
    return damaged


def _local_rms(samples: Samples, starts: NDArray[np.int64], sample_rate: int) -> Samples:
    """RMS over all channels of the 50 ms around each start, at least 5 % of the whole track's."""
    energy = np.concatenate([[0.0], np.cumsum(np.mean(np.square(samples), axis=0), dtype=np.float64)])
    half = max(1, int(LOCAL_SECONDS * sample_rate / 2))
    first = np.maximum(starts - half, 0)
    last = np.minimum(starts + half, samples.shape[1])
    power = np.maximum(energy[last] - energy[first], 0.0) / (last - first)
    floor = QUIET_SHARE * np.sqrt(energy[-1] / samples.shape[1])
    return np.asarray(np.maximum(np.sqrt(power), floor))
