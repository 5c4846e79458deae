"""How loud the quiet parts of a recording are, how much of it is silence, and how far its peaks really go."""

from typing import NamedTuple

import numpy as np
import soxr

from audiobuff_core.audio.waveform import Waveform

FRAME_SECONDS = 0.05
SILENT_DB = -60.0
QUIET_QUANTILE = 0.05
OVERSAMPLING = 4
BLOCK_SAMPLES = 1 << 18


class QuietParts(NamedTuple):
    """Of frames of 50 ms, by their RMS over all channels.

    Attributes:
        noise_floor_db: level in dBFS that 95 % of the frames exceed, without digital silence; None for that alone.
        silence_share: share (0 to 1) of frames under -60 dBFS.
    """

    noise_floor_db: float | None
    silence_share: float


def quiet_parts(waveform: Waveform) -> QuietParts:
    """Noise floor and silence of `waveform`; what is left after the last whole frame does not count."""
    length = max(1, min(waveform.num_samples, round(FRAME_SECONDS * waveform.sample_rate)))
    num_frames = waveform.num_samples // length
    framed = waveform.samples[:, : num_frames * length].reshape(waveform.channels, num_frames, length)
    power = np.square(framed, dtype=np.float64).mean(axis=(0, 2))
    sounding = power[power > 0.0]
    floor_db = 10.0 * float(np.log10(np.quantile(sounding, QUIET_QUANTILE))) if len(sounding) else None
    return QuietParts(floor_db, float(np.mean(power < 10.0 ** (SILENT_DB / 10.0))))


def true_peak_db(waveform: Waveform) -> float | None:
    """The largest level in dBTP between samples, too: 4 times oversampled, as ITU-R BS.1770-4 annex 2; None: silence.

    Block by block with a little overlap, so that a long recording needs no memory of four times its size.
    """
    peak, overlap = float(np.abs(waveform.samples).max()), 256
    for start in range(0, waveform.num_samples, BLOCK_SAMPLES):
        block = waveform.samples[:, max(0, start - overlap) : start + BLOCK_SAMPLES + overlap]
        raised = soxr.resample(np.ascontiguousarray(block.T), 1, OVERSAMPLING, quality="HQ")
        first = (start - max(0, start - overlap)) * OVERSAMPLING
        inside = raised[first : first + BLOCK_SAMPLES * OVERSAMPLING]
        if len(inside):
            peak = max(peak, float(np.abs(inside).max()))
    return 20.0 * float(np.log10(peak)) if peak > 0.0 else None
