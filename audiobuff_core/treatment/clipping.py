"""Clipped peaks, also where resampling, a lossy codec or a change of level has bent their flat tops since."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.treatment.autoregression import interpolate, prediction_error_filter
from audiobuff_core.treatment.bounded_peaks import rebuild
from audiobuff_core.treatment.clip_levels import ClipLevel, find_levels
from audiobuff_core.treatment.places import repairs_of_channel, runs
from audiobuff_core.treatment.protocols import Repair, Treated

Samples = NDArray[np.float64]
Channel = NDArray[np.float32]
Mask = NDArray[np.bool_]

BLOCK_SECONDS = 0.093
ORDER = 32
NUM_ITERATIONS = 3
MOST_MISSING_SHARE = 0.5
SILENT_RMS = 1e-6
NUM_PROOF_BLOCKS = 48
LEAST_OUTWARD_EXACT = 0.1
LEAST_OUTWARD_BLURRED = 0.7
FEWEST_RUNS_EXACT = 4
FEWEST_RUNS_BLURRED = 16
LARGEST_GROWTH = 4.0
# How far, in shares of the level, a peak is thought to have risen above it, before anything is predicted.
EXPECTED_RISE = 1.0
NORMAL_MEDIAN = 0.6745
JOINED_WITHIN_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Block:
    """Samples [start, end) of which the middle, [first, last), is to be repaired; the rest is context."""

    start: int
    end: int
    first: int
    last: int


class Declip:
    """Rebuilds clipped peaks: autoregressive interpolation is a first guess, and sparse in time and frequency the rest.

    Both may only move them outwards. Proof: what the unclipped surroundings predict must lie beyond the suspected level. Peaks that are naturally this
    high are predicted at or below their height, and then nothing is changed.
    """

    name = "clipping"

    def __init__(self, *, by_prediction_alone: bool = False) -> None:
        """Set whether the first guess is all, which takes a third of the time and is 4 dB worse."""
        self._by_prediction_alone = by_prediction_alone

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` with its clipped peaks rebuilt; these may exceed full scale."""
        samples: NDArray[np.float32] | None = None
        repairs: list[Repair] = []
        for channel, before in enumerate(waveform.samples):
            levels = find_levels(before)
            if not levels:
                continue
            after, outward = _declipped(before, levels, waveform.sample_rate)
            if after is None:
                continue
            if not self._by_prediction_alone:
                upper, lower = (_suspects(before, [one for one in levels if one.sign == sign]) for sign in (1, -1))
                after = rebuild(before, after, upper, lower, waveform.sample_rate)
            samples = waveform.samples.copy() if samples is None else samples
            samples[channel] = after
            repairs += repairs_of_channel(
                self.name, channel, before, after, waveform.sample_rate, outward,
                joined_within_seconds=JOINED_WITHIN_SECONDS,
            )  # fmt: skip
        if samples is None or not repairs:
            return Treated(waveform)
        return Treated(Waveform(samples, waveform.sample_rate), tuple(repairs))


def _declipped(before: Channel, levels: list[ClipLevel], sample_rate: int) -> tuple[Channel | None, float]:
    """The channel repaired, or None without proof; and how far the predictions point outwards, up to 1."""
    suspects = _suspects(before, levels)
    exact = all(level.exact for level in levels)
    if len(runs(suspects)) < (FEWEST_RUNS_EXACT if exact else FEWEST_RUNS_BLURRED):
        return None, 0.0
    blocks = _blocks_with(suspects, sample_rate)
    outward = _outward(before, suspects, blocks)
    if outward < (LEAST_OUTWARD_EXACT if exact else LEAST_OUTWARD_BLURRED):
        return None, outward
    after = before.copy()
    limit = LARGEST_GROWTH * float(np.abs(before).max())
    for block in blocks:
        missing = suspects[block.start : block.end]
        values = before[block.start : block.end].astype(np.float64)
        clipped = values[missing]
        for _ in range(NUM_ITERATIONS):
            predicted = np.clip(_predicted(values, missing), -limit, limit)
            values[missing] = np.where(clipped > 0, np.maximum(predicted, clipped), np.minimum(predicted, clipped))
        core = slice(block.first - block.start, block.last - block.start)
        changed = missing[core]
        after[block.first : block.last][changed] = values[core][changed].astype(np.float32)
    return after, outward


def _suspects(samples: Channel, levels: list[ClipLevel]) -> Mask:
    """Which of `samples` lie at or beyond any of `levels`."""
    return np.any([np.zeros(len(samples), dtype=np.bool_), *(level.suspects(samples) for level in levels)], axis=0)


def _blocks_with(suspects: Mask, sample_rate: int) -> list[_Block]:
    """The blocks whose middle half holds a suspect, and which are not mostly suspects."""
    length = max(8 * ORDER, round(BLOCK_SECONDS * sample_rate))
    quarter = length // 4
    blocks = []
    for first in range(0, len(suspects), length - 2 * quarter):
        last = min(first + length - 2 * quarter, len(suspects))
        if not suspects[first:last].any():
            continue
        start, end = max(0, first - quarter), min(len(suspects), last + quarter)
        if suspects[start:end].mean() <= MOST_MISSING_SHARE:
            blocks.append(_Block(start, end, first, last))
    return blocks


def _outward(before: Channel, suspects: Mask, blocks: list[_Block]) -> float:
    """Sum of the predictions' outward moves over the sum of all their moves, -1 to 1, on some of the blocks."""
    chosen = blocks[:: -(-len(blocks) // NUM_PROOF_BLOCKS)] if blocks else []
    moved = total = 0.0
    for block in chosen:
        values = before[block.start : block.end].astype(np.float64)
        missing = suspects[block.start : block.end]
        if float(np.sqrt(np.mean(np.square(values)))) < SILENT_RMS:
            continue
        clipped = values[missing]
        outward = (_predicted(values, missing) - clipped) * np.sign(clipped)
        moved += float(outward.sum())
        total += float(np.abs(outward).sum())
    return moved / total if total > 0.0 else -1.0


def _predicted(values: Samples, missing: Mask) -> Samples:
    """What the rest of the block predicts for the missing samples; they themselves where it is too regular to tell."""
    error_filter = prediction_error_filter(values, min(ORDER, len(values) // 4))
    clipped = values[missing]
    error_variance = (float(np.median(np.abs(np.convolve(values, error_filter, "valid")))) / NORMAL_MEDIAN) ** 2
    stiffness = error_variance / (EXPECTED_RISE * float(np.abs(clipped).mean())) ** 2
    try:
        return interpolate(values, missing, error_filter, expected=clipped, stiffness=stiffness)
    except LinAlgError:
        return values[missing]
