"""Clipped peaks, also where resampling, a lossy codec or a change of level has bent their flat tops since."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.treatment.autoregression import interpolate, prediction_error_filter
from audiobuff_core.treatment.clip_levels import SHORTEST_RUN, ClipLevel, find_levels
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
# So many flat tops prove themselves, if the sound is found at so many values within a fifth below them: none of 14,166
# sounds that were left alone has half as many where the other proof fails, and what a computer draws has few values.
FEWEST_TOPS, NEAR_SHARE, FEWEST_OTHERS = 80, 0.8, 200
LARGEST_GROWTH = 4.0
# How far, in shares of the level, a peak is thought to have risen above it, before anything is predicted; and what a
# rebuilt one is thought to miss, in shares of its rise.
EXPECTED_RISE, MISSED_SHARE = 1.0, 0.3
NORMAL_MEDIAN = 0.6745
JOINED_WITHIN_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Block:
    """Samples [start, end) of which the middle, [first, last), is to be repaired; the rest is context."""

    start: int
    end: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """What was cut off from a channel.

    Attributes:
        before: the channel, [samples].
        peaks: which of its samples lie at or beyond a level.
        blocks: of those that are not mostly such.
        certainty: how far the predictions point outwards, or how far many flat tops prove it; up to 1.
    """

    before: Channel
    peaks: Mask
    blocks: list[_Block]
    certainty: float

    @classmethod
    def proven(cls, before: Channel, levels: list[ClipLevel], sample_rate: int) -> Self | None:
        """What lies at or beyond `levels`, or None without proof."""
        peaks = np.any([level.suspects(before) for level in levels], axis=0)
        exact = all(level.exact for level in levels)
        if len(runs(peaks)) < (FEWEST_RUNS_EXACT if exact else FEWEST_RUNS_BLURRED):
            return None
        blocks = _blocks_with(peaks, sample_rate)
        certainty, least = _outward(before, peaks, blocks), LEAST_OUTWARD_EXACT if exact else LEAST_OUTWARD_BLURRED
        if exact and certainty < least:
            certainty = _certainty_of_flat_tops(before, levels)
        return cls(before, peaks, blocks, certainty) if certainty >= least else None

    def predicted(self, guess: Channel, iterations: int, spread_of: Callable[[Samples, Samples], float]) -> Channel:
        """`guess` with its peaks as far out as predicted, but not below the level.

        Args:
            guess: the channel with what is thought of its peaks before.
            iterations: how often the prediction learns from what it said.
            spread_of: how far off the peaks of a block are thought to be, of those and of their level.
        """
        after = guess.copy()
        limit = LARGEST_GROWTH * float(np.abs(self.before).max())
        for block in self.blocks:
            missing = self.peaks[block.start : block.end]
            values = guess[block.start : block.end].astype(np.float64)
            level = self.before[block.start : block.end][missing].astype(np.float64)
            for _ in range(iterations):
                predicted = np.clip(_predicted(values, missing, spread_of(values[missing], level)), -limit, limit)
                values[missing] = np.where(level > 0, np.maximum(predicted, level), np.minimum(predicted, level))
            core = slice(block.first - block.start, block.last - block.start)
            changed = missing[core]
            after[block.first : block.last][changed] = values[core][changed].astype(np.float32)
        return after


class Declip:
    """Rebuilds clipped peaks: what is sparse in time and frequency, corrected by autoregressive interpolation.

    Both may only move peaks outwards. Proof: what the unclipped surroundings predict must lie beyond the suspected
    level. Peaks that are naturally this high are predicted at or below their height, and then nothing is changed; but
    noise is never predicted to go on, and there many flat tops are a proof of their own.
    """

    name = "clipping"

    def __init__(self, *, by_prediction_alone: bool = False) -> None:
        """Set whether to interpolate alone, which takes a third of the time and is 5 dB worse."""
        self._by_prediction_alone = by_prediction_alone

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` with its clipped peaks rebuilt; these may exceed full scale."""
        samples: NDArray[np.float32] | None = None
        repairs: list[Repair] = []
        for channel, before in enumerate(waveform.samples):
            levels = find_levels(before)
            if not levels:
                continue
            cut = _Cut.proven(before, levels, waveform.sample_rate)
            if cut is None:
                continue
            after = self._rebuilt(cut, waveform.sample_rate)
            samples = waveform.samples.copy() if samples is None else samples
            samples[channel] = after
            repairs += repairs_of_channel(
                self.name, channel, before, after, waveform.sample_rate, cut.certainty,
                joined_within_seconds=JOINED_WITHIN_SECONDS,
            )  # fmt: skip
        if samples is None or not repairs:
            return Treated(waveform)
        return Treated(Waveform(samples, waveform.sample_rate), tuple(repairs))

    def _rebuilt(self, cut: _Cut, sample_rate: int) -> Channel:
        if self._by_prediction_alone:
            return cut.predicted(cut.before, NUM_ITERATIONS, lambda peaks, _: EXPECTED_RISE * np.abs(peaks).mean())
        from audiobuff_core.treatment.sparse import Known, rebuild

        known = Known.bounds(cut.peaks & (cut.before > 0), cut.peaks & (cut.before < 0))
        sparse = rebuild(cut.before, known, sample_rate)
        return cut.predicted(sparse, 1, lambda peaks, level: MISSED_SHARE * np.abs(peaks - level).mean())


def _certainty_of_flat_tops(samples: Channel, levels: list[ClipLevel]) -> float:
    """How far their number alone proves that they were cut off, 0.5 to 1, or 0; noise is not predicted to go on."""
    num_tops, others = 0, 0
    for level in levels:
        cut = level.suspects(samples)
        num_tops += int((np.diff(runs(cut), axis=1) >= SHORTEST_RUN).sum())
        others += len(np.unique(samples[(samples * np.float32(level.sign) > NEAR_SHARE * level.lowest) & ~cut]))
    return 1.0 - FEWEST_TOPS / (2.0 * num_tops) if num_tops >= FEWEST_TOPS and others >= FEWEST_OTHERS else 0.0


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
        spread = EXPECTED_RISE * float(np.abs(clipped).mean())
        outward = (_predicted(values, missing, spread) - clipped) * np.sign(clipped)
        moved += float(outward.sum())
        total += float(np.abs(outward).sum())
    return moved / total if total > 0.0 else -1.0


def _predicted(values: Samples, missing: Mask, spread: float) -> Samples:
    """What the rest of the block predicts for the missing samples; they themselves where it is too regular to tell.

    `spread` is the deviation by which they are thought to be off.
    """
    error_filter = prediction_error_filter(values, min(ORDER, len(values) // 4))
    guess = values[missing]
    error = float(np.median(np.abs(np.convolve(values, error_filter, "valid")))) / NORMAL_MEDIAN
    stiffness = (error / (spread + 1e-12)) ** 2
    try:
        return interpolate(values, missing, error_filter, expected=guess, stiffness=stiffness)
    except LinAlgError:
        return guess
