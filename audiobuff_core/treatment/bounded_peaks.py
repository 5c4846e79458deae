"""Samples of which only a bound is known, such as clipped peaks: what makes the sound sparse in time and frequency.

The persistent empirical Wiener shrinkage of Siedenburg, Kowalski and Dörfler, "Audio declipping with social sparsity"
(ICASSP 2014): a bin stays if its neighbours in time and frequency are strong too. Bounds are met softly on the way, by
gradient steps with momentum (Beck and Teboulle 2009) under a threshold that falls from step to step.
"""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.treatment.short_time import ShortTime, Spectrum

Channel = NDArray[np.float32]
Mask = NDArray[np.bool_]

FRAME_SECONDS = 0.093
STEPS, MOMENTUM = 80, np.float32(0.9)
# Shares of the strongest bin.
FIRST_THRESHOLD, LAST_THRESHOLD = 0.05, 1e-4
# Frames and bins around one that count as its neighbours.
NEAR_FRAMES, NEAR_BINS = 2, 1
SECTION_SECONDS = 10.0


def rebuild(channel: Channel, guess: Channel, above: Mask, below: Mask, sample_rate: int) -> Channel:
    """`channel` with other values where it is known to be `above` or `below` what it says; all shapes [samples].

    Args:
        channel: what was recorded.
        guess: the same with a first guess there: nearer than what was recorded, it saves most of the steps.
        above: where the value is at least that of `channel`.
        below: where it is at most that.
        sample_rate: in Hz.
    """
    length = 1 << round(float(np.log2(FRAME_SECONDS * sample_rate)))
    transform, step = ShortTime(length, length // 2), round(SECTION_SECONDS * sample_rate)
    rebuilt = channel.copy()
    for first in range(0, len(channel), step):
        core = slice(first, min(len(channel), first + step))
        if not (above[core].any() or below[core].any()):
            continue
        around = slice(max(0, first - 4 * length), first + step + 4 * length)
        values = _sparse(channel[around], guess[around], above[around], below[around], transform)
        values = values[core.start - around.start : core.stop - around.start]
        rebuilt[core] = np.where(above[core], np.maximum(values, channel[core]), rebuilt[core])
        rebuilt[core] = np.where(below[core], np.minimum(values, channel[core]), rebuilt[core])
    return rebuilt


def _sparse(channel: Channel, guess: Channel, above: Mask, below: Mask, transform: ShortTime) -> Channel:
    """A sound of few bins that says what `channel` does, or more than that where it is a bound."""
    heard = transform.spectrum(channel)
    strongest = float(np.abs(heard).max())
    thresholds = strongest * np.geomspace(FIRST_THRESHOLD, LAST_THRESHOLD, STEPS)
    now = ahead = transform.spectrum(guess)
    for threshold in thresholds:
        wrong = channel - transform.samples(ahead, len(channel))
        wrong = np.where(above, np.maximum(wrong, 0), np.where(below, np.minimum(wrong, 0), wrong))
        before, now = now, _shrunk(ahead + transform.spectrum(wrong), threshold)
        ahead = now + MOMENTUM * (now - before)
    found = transform.samples(now, len(channel))
    # Joined to what is known on both sides: a kink would be a click.
    known = np.flatnonzero(~(above | below))
    if len(known):
        found += np.interp(np.arange(len(found)), known, (channel - found)[known]).astype(np.float32)
    return found


def _shrunk(spectrum: Spectrum, threshold: float) -> Spectrum:
    """`spectrum` [frames, bins] less what is weak beside `threshold`, with all that is around it."""
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    near = _sum_around(_sum_around(power, NEAR_FRAMES).T, NEAR_BINS).T
    least = np.float32(threshold**2 * (2 * NEAR_FRAMES + 1) * (2 * NEAR_BINS + 1))
    return np.asarray(spectrum * np.maximum(1 - least / np.maximum(near, np.float32(1e-20)), 0))


def _sum_around(values: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Sums over rows as many as `reach` before and after each one of `values` [rows, columns]; zero beyond the ends."""
    summed = values.copy()
    for shift in range(1, reach + 1):
        summed[shift:] += values[:-shift]
        summed[:-shift] += values[shift:]
    return summed
