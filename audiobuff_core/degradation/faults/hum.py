"""Mains hum: a drifting fundamental and its harmonics."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]


def apply(samples: Samples, sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] plus one hum, the same in all channels.

    The fundamental is a sine of `level_dbfs` (0 = amplitude 1) at `mains_hz` * (1 + `offset_share`), whose frequency
    sways by `drift_share` at `drift_hz`; harmonic k has 1/k of its amplitude. Harmonics at or above 0.49 of the rate
    are left out.
    """
    seconds = np.arange(samples.shape[1]) / sample_rate
    drift_hz = float(parameters["drift_hz"])
    fundamental_hz = float(parameters["mains_hz"]) * (1.0 + float(parameters["offset_share"]))
    sway = float(parameters["drift_share"]) / (2.0 * np.pi * drift_hz) * np.sin(2.0 * np.pi * drift_hz * seconds)
    cycles = fundamental_hz * (seconds + sway)
    phases = generator.uniform(0.0, 2.0 * np.pi, int(parameters["num_harmonics"]))
    amplitude = 10.0 ** (float(parameters["level_dbfs"]) / 20.0)
    total = np.zeros(samples.shape[1])
    for harmonic, phase in enumerate(phases, start=1):
        if harmonic * fundamental_hz * 1.005 < 0.49 * sample_rate:
            total += amplitude / harmonic * np.sin(2.0 * np.pi * harmonic * cycles + phase)
    return samples + total
