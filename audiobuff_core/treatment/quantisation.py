"""Coarse steps: a recording of few bits, or one that was made far too quiet and amplified afterwards."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.treatment.noise import without_power
from audiobuff_core.treatment.noise_floor import excerpts_of, power_of, transform_of
from audiobuff_core.treatment.protocols import Treated, treat_channels

# Of a longer recording, the loudest of so many blocks are looked at.
BLOCK, MOST_BLOCKS = 1 << 14, 8
# How many levels it must use, how many of them to either side of zero it may have at most (13 bits), and how many times
# the step of its file format (16 bits, 24 bits) its own must be, so that rounding to those can't hide it.
FEWEST_LEVELS, MOST_LEVELS, LEAST_STEP = 12, 4096.0, 6.0
FORMATS = (2.0**-15, 2.0**-23)
FEWEST_SAMPLES = 4096
FEWEST_FRAMES = 20
# How often a level must be met to be sought by, and by how many, from zero, the first guess is made.
OFTEN, FIRST_LEVELS = 3, 64
# What single precision leaves of a level, relative to the loudest, and how many samples must lie on levels: other
# faults may have been repaired before.
ROUNDING, LEAST_SHARE = 3e-7, 0.9
# Waves of a sound chip have few levels, too, and need no others: they stay on one and then leap. What was rounded stays
# on a level no more than so many times as often as it goes to the next one.
MOST_STAYING = 30.0
# Rounding errors are white noise of a twelfth of a squared step; triangular dither makes that three times as much.
# Where next to nothing else sounds, no less than a part of it may be found, and so many times as much, a little less
# than three, if it is dither; what is found between or beyond is a sound that goes on in all frames.
ERROR, LEAST_HEARD, DITHERED = 1 / 12, 0.4, (2.4, 2.85)
QUIET_SHARE = 0.05


class Dequantise:
    """Takes away the noise that coarse steps make, known by the steps themselves and not guessed from the sound.

    A Wiener filter of that noise; no sample leaves the range that was rounded to its level, wider if there was dither.
    """

    name = "quantisation"

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` with finer steps; the very `waveform` where it has no coarse ones."""
        rate = waveform.sample_rate

        def finer(before: Samples) -> tuple[Samples, float] | None:
            step, share = step_of(before)
            error = _error_of(before, rate, step) if step else 0.0
            if not error:
                return None
            power = np.full(transform_of(rate).num_bins, error * _white_power(rate))
            # Triangular dither moves a sample by a step more.
            most = np.float32(step * (0.5 if error == ERROR * step**2 else 1.5))
            return before + np.clip(without_power(before, rate, power) - before, -most, most), share

        return treat_channels(self.name, waveform, finer)


def step_of(channel: Samples) -> tuple[float, float]:
    """The step between the levels of `channel` [samples], zero among them, and the share of samples on one; or zeros.

    It is sought in small levels, where its error does not count, and made finer by ever larger ones.
    """
    heard = _loudest(channel)
    heard = heard[heard != 0].astype(np.float64)
    if len(heard) < FEWEST_SAMPLES:
        return 0.0, 0.0
    levels, counts = np.unique(np.abs(heard), return_counts=True)
    loudest, enough = levels[-1], LEAST_SHARE * len(heard)
    finest = next((one for one in FORMATS if counts @ _are_on(levels, one, ROUNDING * loudest) >= enough), 0.0)
    least, slack = max(LEAST_STEP * finest, loudest / MOST_LEVELS), max(0.51 * finest, ROUNDING * loudest)
    again = levels[counts >= OFTEN]
    step = float(np.median(np.diff(again[:FIRST_LEVELS], prepend=0.0))) if len(again) else 0.0
    reach = 8.0
    while step > least / 2 and reach * step < 4 * loudest:
        near = again[again < (reach + 0.5) * step]
        whole = np.round(near / step)
        step = float(near @ whole / max(1.0, float(whole @ whole)))
        reach *= 2
    if step < least:
        return 0.0, 0.0
    on = _are_on(levels, step, slack)
    share = float(counts @ on) / len(heard)
    used = len(np.unique(np.round(levels[on] / step)))
    rounded = share >= LEAST_SHARE and used >= FEWEST_LEVELS and _staying(heard, step) < MOST_STAYING
    return (step, share) if rounded else (0.0, 0.0)


def _loudest(channel: Samples) -> Samples:
    """The loudest blocks of `channel`, one after the other; all of a short one."""
    if len(channel) <= MOST_BLOCKS * BLOCK:
        return channel
    blocks = channel[: len(channel) // BLOCK * BLOCK].reshape(-1, BLOCK)
    peaks = np.maximum(blocks.max(axis=1), -blocks.min(axis=1))
    return np.asarray(blocks[np.sort(np.argsort(-peaks, kind="stable")[:MOST_BLOCKS])].reshape(-1))


def _staying(heard: NDArray[np.float64], step: float) -> float:
    """How many samples repeat the level before for each that goes to the next one."""
    leaps = np.abs(np.round(np.diff(heard) / step))
    return float((leaps == 0).sum() / max(1, (leaps == 1).sum()))


def _are_on(levels: NDArray[np.float64], step: float, slack: float) -> NDArray[np.bool_]:
    return np.asarray(np.abs(levels - np.round(levels / step) * step) <= slack)


def _white_power(sample_rate: int) -> float:
    """In each bin of a frame, of white noise of power 1: the window is a root of Hann's, whose mean is a half."""
    return transform_of(sample_rate).length / 2


def _error_of(channel: Samples, sample_rate: int, step: float) -> float:
    """The power of the rounding errors of `channel` [samples]; 0 where less than that is heard, or nothing."""
    transform = transform_of(sample_rate)
    power = np.concatenate([power_of(transform.spectrum(one)) for one in excerpts_of(channel, sample_rate)])
    power /= _white_power(sample_rate)
    least = float(ERROR * step**2)
    sounding = power[power.mean(axis=1) > least, 1:]
    if len(sounding) < FEWEST_FRAMES:
        return 0.0
    # Half of a noise's frames are below ln 2 of its mean.
    quiet = float(np.quantile(np.median(sounding, axis=0), QUIET_SHARE) / np.log(2))
    if DITHERED[0] * least < quiet < DITHERED[1] * least:
        return quiet
    return least if quiet > LEAST_HEARD * least else 0.0
