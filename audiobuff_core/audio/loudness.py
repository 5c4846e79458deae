"""Level: loudness as heard, and the one gain that sets what a network sees."""

import numpy as np

from audiobuff_core.audio.waveform import Waveform

TARGET_RMS = 0.1
RMS_FLOOR = 1e-4
BLOCK_SECONDS = 0.4


def loudness_lufs(waveform: Waveform) -> float | None:
    """Integrated loudness by ITU-R BS.1770-4 in LUFS.

    None where the standard gives none: under 400 ms, more than five channels, or everything below its gate (-70 LUFS).
    """
    import pyloudnorm

    if waveform.num_samples < BLOCK_SECONDS * waveform.sample_rate or waveform.channels > 5:
        return None
    meter = pyloudnorm.Meter(waveform.sample_rate, block_size=BLOCK_SECONDS)
    with np.errstate(divide="ignore", invalid="ignore"):  # log of the power of a silent block
        loudness = float(meter.integrated_loudness(waveform.samples.T.astype(np.float64)))
    return loudness if np.isfinite(loudness) else None


def level_gain(degraded: Waveform) -> float:
    """The linear gain, one a track, that brings `degraded` to RMS 0.1 (-20 dBFS); the RMS counts as at least 1e-4.

    It multiplies clean and damaged alike before encoding and is divided out after decoding.
    """
    return gain_of_rms(float(np.sqrt(np.mean(np.square(degraded.samples, dtype=np.float64)))))


def gain_of_rms(rms: float) -> float:
    """`level_gain` of a recording whose RMS is known."""
    return TARGET_RMS / max(rms, RMS_FLOOR)
