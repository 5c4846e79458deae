"""A sample rate reduced without a filter, so that what it can't hold folds back."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]


def apply(samples: Samples, sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] sampled anew at `rate_hz` without a filter; a rate not below theirs does nothing.

    `output` `hold`: each new sample is held until the next, as old converters do, half a step early so that nothing
    is late; `smooth`: the new samples are resampled back, which leaves the folded tones and no images.
    """
    rate_hz = int(parameters["rate_hz"])
    if rate_hz >= sample_rate:
        return samples
    num_samples = samples.shape[1]
    if parameters["output"] == "hold":
        taken = np.round(np.round(np.arange(num_samples) * rate_hz / sample_rate) * sample_rate / rate_hz)
        return samples[:, np.minimum(taken.astype(np.int64), num_samples - 1)]
    num_taken = max(1, round(num_samples * rate_hz / sample_rate))
    places = np.minimum(np.arange(num_taken) * sample_rate / rate_hz, num_samples - 1)
    left = places.astype(np.int64)
    right = np.minimum(left + 1, num_samples - 1)
    crushed = samples[:, left] + (places - left) * (samples[:, right] - samples[:, left])
    smooth = resample(Waveform(crushed.astype(np.float32), rate_hz), sample_rate).samples[:, :num_samples]
    return np.pad(smooth.astype(np.float64), ((0, 0), (0, num_samples - smooth.shape[1])))
