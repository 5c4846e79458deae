"""How far up the spectrum of a recording reaches."""

import numpy as np

from audiobuff_core.audio.waveform import Waveform

WINDOW_SAMPLES = 4096
FLOOR_DB = 60.0
# Blackman-Harris, four terms: side lobes 92 dB down, so that leakage hides no band edge (a Hann window's would).
WINDOW_TERMS = (0.35875, 0.48829, 0.14128, 0.01168)


def bandwidth_hz(waveform: Waveform) -> float:
    """The highest frequency at which the mean power spectrum is within 60 dB of its maximum; 0 for silence.

    Frames of 4096 samples under a Blackman-Harris window, half overlapped, averaged over time and channels.
    """
    missing = max(0, WINDOW_SAMPLES - waveform.num_samples)
    padded = np.pad(waveform.samples, ((0, 0), (0, missing)))
    angles = 2.0 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES
    window = sum((-1.0) ** k * term * np.cos(k * angles) for k, term in enumerate(WINDOW_TERMS))
    power = np.zeros(WINDOW_SAMPLES // 2 + 1)
    for start in range(0, padded.shape[1] - WINDOW_SAMPLES + 1, WINDOW_SAMPLES // 2):
        spectrum = np.fft.rfft(padded[:, start : start + WINDOW_SAMPLES] * window)
        power += np.square(np.abs(spectrum)).sum(axis=0)
    power[0] = 0.0  # an offset is no sound
    if not power.any():
        return 0.0
    loud = np.flatnonzero(power >= power.max() * 10.0 ** (-FLOOR_DB / 10.0))
    return float(loud[-1]) * waveform.sample_rate / WINDOW_SAMPLES
