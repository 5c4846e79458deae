"""Wind on a microphone: gusts of low noise, under which the music ducks."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.faults.added import at_ratio, shaped_noise, slow_curve
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

LOWEST_HZ = 20.0


def apply(samples: Samples, sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] plus wind at `snr_db` to the music before it ducks, over the whole track.

    The wind falls 12 dB an octave from `corner_hz`, of its own in every channel; its level follows gusts,
    `gusts_hz` a second, common to all channels, down to `calm_db` between them. At the height of a gust the music is
    `duck_db` lower, as an automatic gain or an overloaded capsule makes it. Silence stays silent.
    """
    num_samples = samples.shape[1]
    corner_hz = float(parameters["corner_hz"])

    def amplitude(hertz: Samples) -> Samples:
        return np.where(hertz < LOWEST_HZ, 0.0, 1.0 / (1.0 + np.square(hertz / corner_hz)))

    noise = shaped_noise((samples.shape[0], num_samples), sample_rate, amplitude, generator)
    gusts = slow_curve(num_samples, sample_rate, float(parameters["gusts_hz"]), generator)
    noise *= 10.0 ** (float(parameters["calm_db"]) * (1.0 - gusts) / 20.0)
    ducked = samples * 10.0 ** (-float(parameters["duck_db"]) * gusts / 20.0)
    return ducked + at_ratio(samples, noise, float(parameters["snr_db"]))
