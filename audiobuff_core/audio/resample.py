"""Changing the sample rate."""

import numpy as np
import soxr

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidAudio


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """`waveform` at `sample_rate` Hz (SoX, very high quality, linear phase: nothing moves in time).

    The result has round(num_samples * sample_rate / waveform.sample_rate) samples, at least one. At an equal rate
    the very waveform comes back.

    Raises:
        InvalidAudio: `sample_rate` is outside 1 to 768000 Hz.
    """
    if sample_rate == waveform.sample_rate:
        return waveform
    if not 1 <= sample_rate <= 768_000:
        raise InvalidAudio(f"Sample rate {sample_rate} Hz: expected 1 to 768000 Hz")
    num_samples = max(1, round(waveform.num_samples * sample_rate / waveform.sample_rate))
    interleaved = np.ascontiguousarray(waveform.samples.T)
    changed = soxr.resample(interleaved, waveform.sample_rate, sample_rate, quality="VHQ")[:num_samples]
    missing = num_samples - len(changed)
    if missing > 0:
        changed = np.pad(changed, ((0, missing), (0, 0)))
    return Waveform(np.ascontiguousarray(changed.T, dtype=np.float32), sample_rate)


def resample_like(waveform: Waveform, like: Waveform) -> Waveform:
    """`waveform` at the rate and with the number of samples of `like`."""
    samples = resample(waveform, like.sample_rate).samples[:, : like.num_samples]
    missing = like.num_samples - samples.shape[1]
    return Waveform(np.pad(samples, ((0, 0), (0, missing))) if missing else samples, like.sample_rate)
