"""Dropouts of a tape: for a moment the level falls, with soft edges."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]


def apply(samples: Samples, sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] with `rate_hz` dropouts a second (Poisson, at least one), in all channels at once.

    Each lasts `shortest_ms` to `longest_ms` and is `lowest_db` to `highest_db` lower at its bottom (both negative);
    a raised cosine over `fade_share` of its length leads in and out. Where two overlap the deeper counts.
    """
    num_samples = samples.shape[1]
    gain_db = np.zeros(num_samples)
    num_dropouts = max(1, int(generator.poisson(float(parameters["rate_hz"]) * num_samples / sample_rate)))
    for _ in range(num_dropouts):
        length_ms = generator.uniform(float(parameters["shortest_ms"]), float(parameters["longest_ms"]))
        depth_db = generator.uniform(float(parameters["lowest_db"]), float(parameters["highest_db"]))
        width = min(num_samples, max(1, round(length_ms / 1000.0 * sample_rate)))
        start = int(generator.integers(0, num_samples - width + 1))
        curve = depth_db * _window(width, float(parameters["fade_share"]))
        gain_db[start : start + width] = np.minimum(gain_db[start : start + width], curve)
    return samples * 10.0 ** (gain_db / 20.0)


def _window(width: int, fade_share: float) -> Samples:
    """From 0 up to 1 and down again; the fades take `fade_share` of the width together."""
    fade = int(fade_share * width / 2.0)
    edge = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(1, fade))
    return np.concatenate([edge, np.ones(width - 2 * fade), edge[::-1]])
