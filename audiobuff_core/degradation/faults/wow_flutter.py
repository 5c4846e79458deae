"""Wow and flutter: the speed of a tape or a record sways, and with it pitch and place."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

# Cubic splines between four times as many samples err 60 dB and more below a tone at 0.7 of the Nyquist rate.
OVERSAMPLING = 4
HIGHEST_RATE = 768_000


def apply(samples: Samples, sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] played at a speed of 1 + `depth_percent` / 100 * cos(2 pi `rate_hz` t + phase).

    The clean signal stays where it is, as speed is what is to be repaired: the displacement, the integral of the
    speed, has no mean over the track, and nothing moves by more than `displacement_ms` and that mean.
    """
    places = (
        np.arange(samples.shape[1])
        + displacement_seconds(samples.shape[1], sample_rate, parameters, generator) * sample_rate
    )
    factor = max(1, min(OVERSAMPLING, HIGHEST_RATE // sample_rate))
    dense = resample(Waveform(samples.astype(np.float32), sample_rate), sample_rate * factor).samples
    warped = [
        map_coordinates(channel.astype(np.float64), [places * factor], order=3, mode="nearest") for channel in dense
    ]
    return np.asarray(warped)


def displacement_seconds(
    num_samples: int, sample_rate: int, parameters: Parameters, generator: np.random.Generator
) -> Samples:
    """How much later in the clean signal each sample [samples] was taken; its mean is zero."""
    rate_hz = float(parameters["rate_hz"])
    phase = float(generator.uniform(0.0, 2.0 * math.pi))
    seconds = np.arange(num_samples) / sample_rate
    swaying = np.sin(2.0 * math.pi * rate_hz * seconds + phase)
    height = float(parameters["depth_percent"]) / 100.0 / (2.0 * math.pi * rate_hz)
    return np.asarray(height * (swaying - swaying.mean()))
