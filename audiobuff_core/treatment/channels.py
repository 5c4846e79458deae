"""Faults between the two channels of stereo: one turned over, one dead."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.treatment.protocols import Repair, Treated, change_db

SHORTEST_SECONDS = 1.0
LOW_RATE = 1000
FRAME_SECONDS = 0.2
SILENT_FRAME_SHARE = 0.01
OPPOSITE = -0.8
OPPOSITE_IN_FRAME = -0.3
OPPOSITE_SHARE = 0.9
DEAD_PEAK = 1e-4
LIVE_RMS = 1e-3


class FixPolarity:
    """Turns the second channel of stereo over where the two are opposite below 500 Hz, from start to end.

    Wide stereo may be opposite for a moment or at high frequencies, but its bass is not: it would cancel in mono.
    Which of the two was turned can't be heard and can't be known.
    """

    name = "polarity"

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` with its second channel times -1, or itself."""
        if waveform.channels != 2 or waveform.duration_seconds < SHORTEST_SECONDS or waveform.sample_rate < LOW_RATE:
            return Treated(waveform)
        correlation = _low_correlation(waveform)
        if correlation > OPPOSITE:
            return Treated(waveform)
        samples = waveform.samples.copy()
        samples[1] = -samples[1]
        change = change_db(waveform.samples[1], samples[1])
        repair = Repair(self.name, 0.0, waveform.duration_seconds, (1,), change, -correlation)
        return Treated(Waveform(samples, waveform.sample_rate), (repair,))


class ReviveChannel:
    """Copies the living channel of stereo into one that is silent (under -80 dB) from start to end."""

    name = "dead_channel"

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` with both channels sounding, or itself."""
        if waveform.channels != 2 or waveform.duration_seconds < SHORTEST_SECONDS:
            return Treated(waveform)
        peaks = np.abs(waveform.samples).max(axis=1)
        dead = int(peaks.argmin())
        live = waveform.samples[1 - dead]
        if peaks[dead] > DEAD_PEAK or float(np.sqrt(np.mean(np.square(live), dtype=np.float64))) < LIVE_RMS:
            return Treated(waveform)
        samples = waveform.samples.copy()
        samples[dead] = live
        change = change_db(waveform.samples[dead], samples[dead])
        repair = Repair(self.name, 0.0, waveform.duration_seconds, (dead,), change, 1.0)
        return Treated(Waveform(samples, waveform.sample_rate), (repair,))


def _low_correlation(waveform: Waveform) -> float:
    """Correlation of the channels below 500 Hz, -1 to 1; 0 unless nine tenths of the sounding frames are negative."""
    import soxr

    low = soxr.resample(waveform.samples.T, waveform.sample_rate, LOW_RATE).T.astype(np.float64)
    frame_samples = round(FRAME_SECONDS * LOW_RATE)
    num_frames = low.shape[1] // frame_samples
    frames: NDArray[np.float64] = low[:, : num_frames * frame_samples].reshape(2, num_frames, frame_samples)
    power = np.square(frames).sum(axis=2)
    product = frames[0] * frames[1]
    together = product.sum(axis=1)
    scale = np.sqrt(power[0] * power[1])
    sounding = scale > SILENT_FRAME_SHARE * scale.max()
    if not sounding.any():
        return 0.0
    opposite = together[sounding] < OPPOSITE_IN_FRAME * scale[sounding]
    if opposite.mean() < OPPOSITE_SHARE:
        return 0.0
    return float(together.sum() / (np.sqrt(power[0].sum() * power[1].sum()) + 1e-30))
