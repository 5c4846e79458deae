"""Small sounds, and metrics of arrays of them."""

from itertools import pairwise

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.evaluation.metrics.protocol import Comparison, Signal
from audiobuff_core.evaluation.metrics.registry import METRICS
from audiobuff_core.seeding import numpy_generator

RATE = 48_000


def noise(key, num_samples, level):
    return numpy_generator(key).normal(0, level, num_samples)


def music(seconds=1.5, rate=RATE):
    """A chord whose notes begin one after the other and decay, over a little noise."""
    times = np.arange(round(seconds * rate)) / rate
    notes = [(220.0, 0.0), (277.2, 0.3), (329.6, 0.6), (440.0, 0.9), (1760.0, 0.2), (5_000.0, 0.5)]
    tones = sum(
        np.sin(2 * np.pi * hertz * times) * np.exp(-2 * (times - start)) * (times >= start) for hertz, start in notes
    )
    return 0.08 * tones + noise("breath", len(times), 0.001)


def measured(name, clean, estimate, rate=RATE, degraded=None):
    """The metric called `name` of arrays [samples] or [channels, samples]."""
    signals = [
        one if one is None else Signal(Waveform(np.atleast_2d(one).astype(np.float32), rate))
        for one in (clean, estimate, degraded)
    ]
    return METRICS[name].measure(Comparison(*signals))


def falls(name, values):
    """Whether `values` of more and more damage get worse, each by more than nobody would hear."""
    metric = METRICS[name]
    steps = [metric.sign * (after - before) for before, after in pairwise(values)]
    return all(step <= -metric.material for step in steps)
