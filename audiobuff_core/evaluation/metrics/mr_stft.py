"""Distance of spectra at three resolutions, as networks for audio are trained and compared by."""

import numpy as np
from scipy.signal import get_window

from audiobuff_core.evaluation.metrics.protocol import Metric, Samples64

# FFT size, hop and window in samples.
RESOLUTIONS = ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200))
SMALLEST = 1e-7


def multi_resolution_stft(reference: Samples64, estimate: Samples64) -> float:
    """Spectral convergence plus the mean distance of log magnitudes, the mean over resolutions; 0 for equal sound.

    Yamamoto et al., "Parallel WaveGAN" (ICASSP 2020), with their three resolutions; natural logarithm.

    Args:
        reference: shape [samples].
        estimate: shape [samples], the same length.
    """
    values = []
    for fft_size, hop, window_samples in RESOLUTIONS:
        one, other = (_magnitudes(samples, fft_size, hop, window_samples) for samples in (reference, estimate))
        convergence = np.linalg.norm(one - other) / max(float(np.linalg.norm(one)), SMALLEST)
        values.append(convergence + np.abs(np.log(one) - np.log(other)).mean())
    return float(np.mean(values))


def _magnitudes(samples: Samples64, fft_size: int, hop: int, window_samples: int) -> Samples64:
    """Shape [frames, fft_size // 2 + 1]; centred frames, the window in the middle of each."""
    around = (fft_size - window_samples) // 2
    window = np.pad(get_window("hann", window_samples), around)
    padded = np.pad(samples, fft_size // 2, mode="reflect" if len(samples) > fft_size // 2 else "constant")
    frames = np.lib.stride_tricks.sliding_window_view(padded, fft_size)[::hop]
    power = np.square(np.abs(np.fft.rfft(frames * window, axis=1)))
    return np.asarray(np.sqrt(np.maximum(power, SMALLEST)))


MR_STFT = Metric(
    name="mr_stft",
    title="Multi-resolution STFT",
    better="lower",
    material=0.01,
    about="Spectral convergence plus the distance of log magnitudes at three resolutions (Yamamoto et al., 2020).",
    compare=lambda comparison: comparison.over_channels(multi_resolution_stft),
)
