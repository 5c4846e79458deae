"""The crackle and surface hiss of a worn record."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.faults.added import at_ratio, shaped_noise
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

LOWEST_HZ = 20.0
LONGEST_TICK_SECONDS = 0.0005


def apply(samples: Samples, sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] plus ticks and hiss, together at `snr_db` over the whole track.

    Ticks come `rate_hz` a second (Poisson, at least one), with heights of a log-normal law and lengths up to half a
    millisecond, half of them in one channel only; `hiss_share` of the power is pinkish hiss, of its own in every
    channel. Silence stays silent.
    """
    ticks = _ticks(samples.shape, sample_rate, float(parameters["rate_hz"]), generator)

    def amplitude(hertz: Samples) -> Samples:
        return np.asarray((np.maximum(hertz, LOWEST_HZ) / LOWEST_HZ) ** -0.25)

    hiss = shaped_noise((samples.shape[0], samples.shape[1]), sample_rate, amplitude, generator)
    share = float(parameters["hiss_share"])
    sound = _of_power(ticks, 1.0 - share) + _of_power(hiss, share)
    return samples + at_ratio(samples, sound, float(parameters["snr_db"]))


def _of_power(sound: Samples, power: float) -> Samples:
    found = float(np.mean(np.square(sound)))
    return sound * np.sqrt(power / found) if found > 0.0 else sound


def _ticks(shape: tuple[int, ...], sample_rate: int, rate_hz: float, generator: np.random.Generator) -> Samples:
    channels, num_samples = shape
    num_ticks = max(1, int(generator.poisson(rate_hz * num_samples / sample_rate)))
    starts = generator.integers(0, num_samples, num_ticks)
    heights = generator.choice([-1.0, 1.0], num_ticks) * generator.lognormal(0.0, 0.7, num_ticks)
    sides = generator.integers(0, 2 * channels, num_ticks)  # from `channels` on: in all channels
    decays = generator.uniform(0.1, 1.0, num_ticks)
    longest = max(1, round(LONGEST_TICK_SECONDS * sample_rate))
    ticks = np.zeros((channels, num_samples + longest))
    for offset in range(longest):
        # A tick swings once and dies away.
        shape_now = heights * np.exp(-4.0 * offset / (decays * longest)) * (1.0 if offset % 2 == 0 else -0.6)
        for channel in range(channels):
            heard = (sides == channel) | (sides >= channels)
            np.add.at(ticks[channel], starts[heard] + offset, shape_now[heard])
    return ticks[:, :num_samples]
