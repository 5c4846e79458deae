"""Small recordings to damage: plucked strings over a pause, and things that look like damage but are none."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from audiobuff_core.audio.waveform import Waveform

Samples = NDArray[np.float64]

RATE = 22_050


def plucked(seconds: float = 6.0, *, seed: int = 1, rate: int = RATE) -> Samples:
    """Karplus-Strong strings, one every third of a second, quiet at the end; shape [samples]."""
    generator = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * rate))
    for start in range(0, len(sound) - rate, rate // 3):
        period = int(rate / (110.0 * 2 ** (generator.integers(0, 24) / 12)))
        burst = np.zeros(rate)
        burst[:period] = generator.uniform(-1.0, 1.0, period)
        feedback = np.zeros(period + 2)
        feedback[[0, period, period + 1]] = 1.0, -0.497, -0.497
        sound[start : start + rate] += 0.15 * lfilter([1.0], feedback, burst)
    return sound


def tones(seconds: float = 4.0, rate: int = RATE) -> Samples:
    """A chord that swells and fades, so that its peaks differ; shape [samples]."""
    time = np.arange(round(seconds * rate)) / rate
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 0.7 * time)
    return 0.22 * swell * sum(np.sin(2 * np.pi * hertz * time + hertz) for hertz in (131.0, 211.0, 317.0, 499.0))


def square_waves(seconds: float = 4.0, *, rate: int = RATE) -> Samples:
    """A chiptune: pulse waves of two voices with stepped volumes, digital silence between notes; shape [samples]."""
    generator = np.random.default_rng(2)
    sound = np.zeros(round(seconds * rate))
    note = rate // 8
    for voice, amplitude in ((1, 0.3), (2, 0.2)):
        for start in range(0, len(sound) - note, note * voice):
            hertz = 110.0 * 2 ** (generator.integers(0, 24) / 12)
            phase = np.arange(note) * hertz / rate % 1.0
            steps = np.round(15 * np.linspace(1.0, 0.2, note)) / 15
            if generator.random() < 0.8:
                sound[start : start + note] += amplitude * np.where(phase < 0.25, 1.0, -1.0) * steps
    return sound


def drums(seconds: float = 4.0, *, rate: int = RATE) -> Samples:
    """Kicks and noise bursts with sharp attacks, digital silence between them; shape [samples]."""
    generator = np.random.default_rng(3)
    sound = np.zeros(round(seconds * rate))
    length = rate // 6
    decay = np.exp(-np.arange(length) / (0.02 * rate))
    for place, start in enumerate(range(rate // 10, len(sound) - length, rate // 4)):
        kick = np.sin(2 * np.pi * 60.0 * np.arange(length) / rate * (1 + decay))
        hit = generator.standard_normal(length) * 0.25 if place % 2 else kick * 0.7
        sound[start : start + length] += np.where(decay > 0.01, hit * decay, 0.0)
    return sound


def waveform(*channels: Samples, rate: int = RATE) -> Waveform:
    """The channels, shape [samples] each, as a recording."""
    return Waveform(np.stack(channels).astype(np.float32), rate)
