"""Rumble of a turntable, a fan or a street: narrow noise between 20 and 60 Hz."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.faults.added import at_ratio, shaped_noise
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]


def apply(samples: Samples, sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] plus noise around `center_hz`, `width_hz` wide, at `snr_db`.

    The spectrum is a Gaussian whose half width at -8.7 dB is `width_hz` / 2, the noise the same in all channels.
    Silence stays silent.
    """
    center_hz, width_hz = float(parameters["center_hz"]), float(parameters["width_hz"])

    def amplitude(hertz: Samples) -> Samples:
        return np.asarray(np.exp(-np.square((hertz - center_hz) / (width_hz / 2.0))))

    noise = shaped_noise((1, samples.shape[1]), sample_rate, amplitude, generator)
    return samples + at_ratio(samples, np.broadcast_to(noise, samples.shape), float(parameters["snr_db"]))
