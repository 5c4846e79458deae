"""Too much compression: what is loud is turned down, and all of it up again."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.degradation.faults.envelope import followed, gain_curve, peak_levels_db
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]


def apply(samples: Samples, sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] compressed, all channels by one gain; silence stays silent.

    Of what a millisecond's peak exceeds `threshold_db` (relative to the track's peak), 1 - 1/`ratio` is taken off; the
    gain falls within `attack_ms` and rises within `release_ms`. `makeup` `rms` gives the track its former RMS back,
    `none` does not.
    """
    levels_db = peak_levels_db(samples, sample_rate)
    over_db = np.maximum(0.0, levels_db - float(parameters["threshold_db"]))
    wanted_db = over_db * (1.0 - 1.0 / float(parameters["ratio"]))
    taken_db = followed(wanted_db, float(parameters["attack_ms"]), float(parameters["release_ms"]), start=0.0)
    gains = np.atleast_2d(gain_curve(-taken_db, samples.shape[1], sample_rate))
    # One channel goes into the memory of its gains: fresh memory costs as much as the product.
    fits = gains.shape == samples.shape and gains.dtype == samples.dtype
    compressed = np.multiply(samples, gains, out=gains if fits else None)
    if parameters["makeup"] == "none":
        return compressed
    power = float(np.mean(np.square(compressed)))
    return compressed * np.sqrt(float(np.mean(np.square(samples))) / power) if power > 0.0 else compressed
