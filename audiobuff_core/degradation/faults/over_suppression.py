"""Over-suppression: a spectral gate takes faint sounds with the noise and leaves musical noise."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT, windows

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]


def apply(samples: Samples, sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] with everything in its spectrogram that is faint turned down by `reduction_db`.

    Faint is what lies below the quantile `gated_share` of its own frequency over the track (so that share of the
    spectrogram is gated), judged after an error of `jitter_db` (RMS) of the gate's estimate: neighbours come out
    differently, which is what sings. Windows of `window_ms`, hop a quarter. Silence stays silent.
    """
    window = max(16, 2 ** round(np.log2(float(parameters["window_ms"]) / 1000.0 * sample_rate)))
    transform = ShortTimeFFT(windows.hann(window, sym=False), window // 4, fs=sample_rate)
    missing = max(0, window - samples.shape[1])  # the transform wants half a window at least
    spectrum = transform.stft(np.pad(samples, ((0, 0), (0, missing))))
    error = generator.standard_normal(spectrum.shape, dtype=np.float32)
    levels = np.abs(spectrum) * np.exp(error * np.float32(float(parameters["jitter_db"]) * math.log(10.0) / 20.0))
    rank = round(float(parameters["gated_share"]) * (levels.shape[-1] - 1))
    thresholds = np.partition(levels, rank, axis=-1)[..., rank, np.newaxis]
    spectrum[levels < thresholds] *= 10.0 ** (-float(parameters["reduction_db"]) / 20.0)
    gated = transform.istft(spectrum, k1=samples.shape[1] + missing)
    return np.asarray(gated[:, : samples.shape[1]].real)
