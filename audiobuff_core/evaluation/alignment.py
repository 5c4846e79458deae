"""Whether two recordings run beside each other, or one is late."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.align import delay_samples

LONGEST_SECONDS = 0.5
# Filters and codecs may move a sound a little; more is a mistake.
TOLERANCE_SAMPLES = 2
# By so much two looks at one delay may differ.
SLACK_SAMPLES = 1
# A delay is believed where the two agree there this well (the cosine of both), ...
LEAST_AGREEMENT = 0.3
# ... and this much better than undelayed, or delayed the other way: what repeats itself and flutter agree there too.
LEAST_RATIO = 1.1
NUM_PARTS = 3
FEWEST_PARTS = 2

Signal64 = NDArray[np.float64]


def constant_delay(clean: Waveform, other: Waveform) -> int | None:
    """By how many samples all of `other` is late (negative: early), at most half a second.

    None where it is not late, or it can't be told. The samples themselves and their differences, in which small
    shifts of deep sounds show, must say the same, as filters turn phases of one part of the spectrum; and so must most
    thirds of the recording, as wow comes and goes. Both have the same shape.
    """
    most = min(round(LONGEST_SECONDS * clean.sample_rate), (clean.num_samples - 1) // 2)
    if most <= TOLERANCE_SAMPLES:
        return None
    samples = (clean.samples.astype(np.float64), other.samples.astype(np.float64))
    steps = (np.diff(samples[0], axis=1), np.diff(samples[1], axis=1))
    delay = delay_samples(*steps, most_samples=most)
    if abs(delay) <= TOLERANCE_SAMPLES or abs(delay_samples(*samples, most_samples=most) - delay) > SLACK_SAMPLES:
        return None
    return delay if _is_sure(*samples, delay) or _is_sure(*steps, delay) else None


def _is_sure(clean: Signal64, late: Signal64, delay: int) -> bool:
    agreement = _agreement(clean, late, delay)
    rivals = (_agreement(clean, late, 0), _agreement(clean, late, -delay))
    if agreement < max(LEAST_AGREEMENT, LEAST_RATIO * max(rivals)):
        return False
    length = clean.shape[1] // NUM_PARTS
    pieces = [slice(part * length, (part + 1) * length) for part in range(NUM_PARTS)]
    most = min(2 * abs(delay), length // 2)
    delays = [delay_samples(clean[:, one], late[:, one], most_samples=most) for one in pieces]
    return sum(abs(one - delay) <= SLACK_SAMPLES for one in delays) >= FEWEST_PARTS


def _agreement(clean: Signal64, late: Signal64, delay: int) -> float:
    """Cosine of the two over what they share once the delay is undone, in [-1, 1]; 0 for silence."""
    num_samples = clean.shape[1] - abs(delay)
    if num_samples < 1:
        return 0.0
    one = clean[:, max(0, -delay) :][:, :num_samples]
    other = late[:, max(0, delay) :][:, :num_samples]
    energy = float(np.sqrt(np.sum(one**2) * np.sum(other**2)))
    return float(np.sum(one * other)) / energy if energy > 0 else 0.0
