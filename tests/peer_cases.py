"""Music for peers to mend, and rows of faults."""

import math

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.plan import PlanRow

RATE = 16_000


def music(channels=1, seconds=0.8, rate=RATE, seed=0):
    """Notes that begin and end, with pauses between them."""
    generator = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    beats = np.exp(-8 * (times % 0.2)) * (times % 0.4 < 0.3)
    tones = [sum(np.sin(2 * math.pi * hertz * times) for hertz in generator.uniform(150, 3000, 4))] * channels
    width = 0.01 * generator.standard_normal((channels, len(times)))
    return Waveform((0.1 * np.stack(tones) * beats + width * beats).astype(np.float32), rate)


def row_of(*faults, recipe="test"):
    return PlanRow("track", "hash", 0, recipe, 1, tuple(faults))
