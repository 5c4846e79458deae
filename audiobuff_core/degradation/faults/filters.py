"""The original's band: a second-order high-pass and low-pass."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from audiobuff_core.degradation.align import shifted
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]


def apply(samples: Samples, sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] through `highpass_hz` and `lowpass_hz`, each of `quality` Q.

    The biquads of Robert Bristow-Johnson's Audio EQ Cookbook, as torchaudio's `highpass_biquad` and `lowpass_biquad`.
    The low-pass delays by 1 / (Q omega) seconds, one sample at 44.1 kHz, which is taken off to the nearest sample.
    An edge at or above 0.49 of the rate is left out.
    """
    quality = float(parameters["quality"])
    delay_seconds = 0.0
    for name in ("highpass", "lowpass"):
        edge_hz = float(parameters[f"{name}_hz"])
        if edge_hz < 0.49 * sample_rate:
            numerator, denominator = biquad(name, edge_hz, sample_rate, quality)
            samples = np.asarray(lfilter(numerator, denominator, samples, axis=-1))
            delay_seconds = 1.0 / (quality * 2.0 * math.pi * edge_hz) if name == "lowpass" else 0.0
    return shifted(samples, -round(delay_seconds * sample_rate))


def biquad(name: str, edge_hz: float, sample_rate: int, quality: float) -> tuple[Samples, Samples]:
    """Numerator and denominator (b, a) of the `highpass` or `lowpass`, -3 dB at `edge_hz` for Q = 0.7071."""
    omega = 2.0 * math.pi * edge_hz / sample_rate
    alpha = math.sin(omega) / (2.0 * quality)
    cosine = math.cos(omega)
    outer, middle = (
        ((1.0 + cosine) / 2.0, -(1.0 + cosine)) if name == "highpass" else ((1.0 - cosine) / 2.0, 1.0 - cosine)
    )
    numerator = np.array([outer, middle, outer])
    denominator = np.array([1.0 + alpha, -2.0 * cosine, 1.0 - alpha])
    return numerator / denominator[0], denominator / denominator[0]
