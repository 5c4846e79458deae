"""Over-suppression: a spectral gate takes faint sounds with the noise and leaves musical noise."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT, windows

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.float64]


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
    levels = np.abs(spectrum) * 10.0 ** (
        float(parameters["jitter_db"]) * generator.standard_normal(spectrum.shape) / 20.0
    )
    thresholds = np.quantile(levels, float(parameters["gated_share"]), axis=-1, keepdims=True)
    gains = np.where(levels < thresholds, 10.0 ** (-float(parameters["reduction_db"]) / 20.0), 1.0)
    gated = transform.istft(spectrum * gains, k1=samples.shape[1] + missing)
    return np.asarray(gated[:, : samples.shape[1]].real)
