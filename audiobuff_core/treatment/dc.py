"""A constant offset."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.treatment.protocols import Repair, Treated, change_db

FRAME_SECONDS = 0.25
FEWEST_FRAMES = 8
SMALLEST_OFFSET = 0.0008
LARGEST_SPREAD_SHARE = 0.1
QUIET_SHARE = 0.25


class RemoveOffset:
    """Subtracts what stays the same in every quarter of a second, loud or quiet: music has a mean of zero.

    Proof: the means of the frames differ from their median by less than a tenth of it, in the quietest frames too.
    Digital silence anywhere, or sound that is lopsided only while it sounds, refutes it.
    """

    name = "dc"

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` without its offset, each channel by itself; untouched if shorter than two seconds."""
        found = [_offset(channel, round(FRAME_SECONDS * waveform.sample_rate)) for channel in waveform.samples]
        if not any(offset for offset, _ in found):
            return Treated(waveform)
        samples = waveform.samples.copy()
        repairs = []
        for channel, (offset, confidence) in enumerate(found):
            if offset:
                samples[channel] -= np.float32(offset)
                change = change_db(waveform.samples[channel], samples[channel])
                repairs.append(Repair(self.name, 0.0, waveform.duration_seconds, (channel,), change, confidence))
        return Treated(Waveform(samples, waveform.sample_rate), tuple(repairs))


def _offset(samples: NDArray[np.float32], frame_samples: int) -> tuple[float, float]:
    """The offset of a channel, 0 if it has none, and the confidence."""
    num_frames = len(samples) // frame_samples if frame_samples else 0
    if num_frames < FEWEST_FRAMES:
        return 0.0, 0.0
    frames = samples[: num_frames * frame_samples].reshape(num_frames, frame_samples)
    means = frames.mean(axis=1, dtype=np.float64)
    offset = float(np.median(means))
    if abs(offset) < SMALLEST_OFFSET:
        return 0.0, 0.0
    deviations = np.abs(means - offset)
    power = np.array([float(frame.var(dtype=np.float64)) for frame in frames])
    quiet = np.argsort(power, kind="stable")[: max(1, round(QUIET_SHARE * num_frames))]
    spread = max(float(np.median(deviations)), float(deviations[quiet].max())) / abs(offset)
    return (offset, 1.0 - spread) if spread <= LARGEST_SPREAD_SHARE else (0.0, 0.0)
