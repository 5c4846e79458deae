"""Mel-cepstral distortion: how far apart two timbres are."""

from functools import lru_cache

import numpy as np
from scipy.fft import dct

from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric, Samples64

SAMPLE_RATE = 16_000
WINDOW_SAMPLES, HOP_SAMPLES = 1024, 256
NUM_BANDS, LOWEST_HZ = 40, 40.0
NUM_COEFFICIENTS = 13
# Of a band, mean square: what is lower counts as nothing.
POWER_FLOOR = 1e-11


def mel_cepstra(samples: Samples64) -> Samples64:
    """Cepstral coefficients 1 to 13, shape [frames, 13], of the log power of 40 mel bands; `samples` at 16 kHz.

    The level is coefficient 0, which is left out. A ripple of the log-mel spectrum is a coefficient of half its height.
    """
    num_frames = max(0, -((WINDOW_SAMPLES - len(samples)) // HOP_SAMPLES)) + 1
    padded = np.zeros(WINDOW_SAMPLES + (num_frames - 1) * HOP_SAMPLES)
    padded[: len(samples)] = samples
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::HOP_SAMPLES] * window
    power = np.square(np.abs(np.fft.rfft(frames, axis=1))) / np.square(window).sum()
    logarithms = np.log(power @ _mel_bands() + POWER_FLOOR)
    return np.asarray(dct(logarithms, axis=1)[:, 1 : NUM_COEFFICIENTS + 1] / (2 * NUM_BANDS))


def distortion_db(reference: Samples64, estimate: Samples64) -> float:
    """`10 / ln 10 sqrt(2 sum of squared differences)`, the mean over frames, of cepstra [frames, coefficients].

    Kubichek (1993): about the root mean square difference of the two envelopes in dB.
    """
    squares = np.square(reference - estimate).sum(axis=1)
    return float(10 / np.log(10) * np.sqrt(2 * squares).mean())


@lru_cache(maxsize=1)
def _mel_bands() -> Samples64:
    from librosa.filters import mel

    bands = mel(
        sr=SAMPLE_RATE, n_fft=WINDOW_SAMPLES, n_mels=NUM_BANDS, fmin=LOWEST_HZ, htk=True, norm=None, dtype=np.float64
    ).T
    return np.asarray(bands / bands.sum(axis=0))


def _compare(comparison: Comparison) -> float:
    return comparison.at(SAMPLE_RATE).over_channels(
        lambda clean, estimate: distortion_db(mel_cepstra(clean), mel_cepstra(estimate))
    )


MCD = Metric(
    name="mcd_db",
    title="MCD",
    unit="dB",
    better="lower",
    material=0.05,
    about="Mel-cepstral distortion (Kubichek, 1993) below 8 kHz: 13 coefficients of 40 mel bands, no warping of time.",
    compare=_compare,
)
