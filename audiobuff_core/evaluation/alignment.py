"""Whether two recordings run beside each other, or one is late."""

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.align import delay_samples

LONGEST_SECONDS = 1.0
NUM_PARTS = 3
# A delay is believed where the two agree there this well (the cosine of their differences), ...
LEAST_AGREEMENT = 0.3
# ... and this much better than undelayed.
LEAST_RATIO = 1.2
# A filter may move a little; more is a mistake.
TOLERANCE_SAMPLES = 1


def constant_delay(clean: Waveform, other: Waveform) -> int | None:
    """By how many samples all of `other` is late (negative: early); None where it is not, or it can't be told.

    Each third of the recording must say the same, so that wow, flutter and what repeats itself are no delay. Both have
    the same shape.
    """
    reference, delayed = (np.diff(one.samples.astype(np.float64), axis=1) for one in (clean, other))
    length = reference.shape[1] // NUM_PARTS
    most = min(round(LONGEST_SECONDS * clean.sample_rate), length // 2)
    if most < 1:
        return None
    delays = []
    for part in range(NUM_PARTS):
        piece = slice(part * length, (part + 1) * length)
        delay = delay_samples(reference[:, piece], delayed[:, piece], most_samples=most)
        agreement = _agreement(reference[:, piece], delayed[:, piece], delay)
        undelayed = _agreement(reference[:, piece], delayed[:, piece], 0)
        if agreement < LEAST_AGREEMENT:  # silence, or too damaged to tell
            continue
        if abs(delay) <= TOLERANCE_SAMPLES or agreement < LEAST_RATIO * undelayed:
            return None
        delays.append(delay)
    if len(delays) < 2 or max(delays) - min(delays) > 2 * TOLERANCE_SAMPLES:
        return None
    return int(np.median(delays))


def _agreement(reference: np.ndarray, delayed: np.ndarray, delay: int) -> float:
    """Cosine of the two over what they share once the delay is undone, in [-1, 1]."""
    num_samples = reference.shape[1] - abs(delay)
    one = reference[:, max(0, -delay) :][:, :num_samples]
    other = delayed[:, max(0, delay) :][:, :num_samples]
    energy = float(np.sqrt(np.sum(one**2) * np.sum(other**2)))
    return float(np.sum(one * other)) / energy if energy > 0 else 0.0
