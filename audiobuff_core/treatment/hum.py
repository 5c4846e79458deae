"""Mains hum and its harmonics, also where the mains drift."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.treatment.hum_fit import SHORTEST_SECONDS, HumFit, fit_hum, linked_fit
from audiobuff_core.treatment.hum_track import HOP_SECONDS, SPECTRUM_SECONDS, comb_scores
from audiobuff_core.treatment.protocols import LOWEST_RATE, Repair, Treated, change_db

ANALYSIS_RATE = 3000
BLOCK_SECONDS = 30


class Dehum:
    """Subtracts a hum near 50 or 60 Hz: steady harmonics of one fundamental that may drift, found in every pause.

    Each channel by itself, in blocks of 30 s that overlap by half and are cross-faded, so a hum may also begin, end or
    change; beside a channel that hums less proves the same hum in another. Blocks without a verified hum are left bit
    for bit as they are.
    """

    name = "hum"

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` without its hum; untouched below 8 kHz."""
        if waveform.sample_rate < LOWEST_RATE:
            return Treated(waveform)
        samples: NDArray[np.float32] | None = None
        repairs: list[Repair] = []
        for channel, fits in enumerate(_fits(waveform)):
            if not any(fits):
                continue
            samples = waveform.samples.copy() if samples is None else samples
            for first, end, confidence in _subtract(samples[channel], waveform.sample_rate, fits):
                change = change_db(waveform.samples[channel, first:end], samples[channel, first:end])
                start_seconds, end_seconds = first / waveform.sample_rate, end / waveform.sample_rate
                repairs.append(Repair(self.name, start_seconds, end_seconds, (channel,), change, confidence))
        if samples is None:
            return Treated(waveform)
        return Treated(Waveform(samples, waveform.sample_rate), tuple(repairs))


def _block_starts_seconds(duration_seconds: float) -> list[int]:
    """Starts of the blocks, half a block apart; the last reaches the end and is at least half a block long."""
    hop = BLOCK_SECONDS // 2
    return list(range(0, max(1, int((duration_seconds - hop) // hop) + 1) * hop, hop))


def _fits(waveform: Waveform) -> list[list[HumFit | None]]:
    """The hum of every block of every channel; where one hums, the others are asked for the same hum."""
    import soxr

    starts = _block_starts_seconds(waveform.duration_seconds)
    fits: list[list[HumFit | None]] = []
    blocks: list[list[NDArray[np.float64]]] = []
    for samples in waveform.samples:
        whole = soxr.resample(samples.astype(np.float32), waveform.sample_rate, ANALYSIS_RATE).astype(np.float64)
        if len(whole) < SHORTEST_SECONDS * ANALYSIS_RATE:
            return []
        scores = comb_scores(whole, ANALYSIS_RATE)
        blocks.append([])
        fits.append([])
        for start in starts:
            end = None if start == starts[-1] else start + BLOCK_SECONDS
            blocks[-1].append(whole[start * ANALYSIS_RATE : None if end is None else end * ANALYSIS_RATE])
            last = None if end is None else round((end - SPECTRUM_SECONDS) / HOP_SECONDS) + 1
            frames = slice(round(start / HOP_SECONDS), last)
            heard = tuple(tuple(of_mains[frames] for of_mains in of_comb) for of_comb in scores)
            fits[-1].append(fit_hum(blocks[-1][-1], heard, ANALYSIS_RATE))
    for place in range(len(starts)):
        found = [of_channel[place] for of_channel in fits]
        surest = max((fit for fit in found if fit is not None), key=lambda fit: fit.steadiness, default=None)
        for channel, fit in enumerate(found):
            if surest is not None and fit is None:
                fits[channel][place] = linked_fit(blocks[channel][place], surest, ANALYSIS_RATE)
    return fits


def _subtract(
    samples: NDArray[np.float32], sample_rate: int, fits: list[HumFit | None]
) -> list[tuple[int, int, float]]:
    """Take the hum of `fits` out of one channel, in place; the treated stretches [first, end) and their steadiness."""
    hop = BLOCK_SECONDS // 2 * sample_rate
    stretches: list[tuple[int, int, float]] = []
    older: tuple[HumFit, NDArray[np.float64]] | None = None
    for index, fit in enumerate(fits):
        first = index * hop
        end = len(samples) if index == len(fits) - 1 else first + hop
        newer = (fit, fit.at(sample_rate, ANALYSIS_RATE)) if fit is not None else None
        # The older block fades out while the newer one fades in, over the half block that they share.
        rise = np.minimum(np.arange(end - first) / hop, 1.0) if index else np.ones(end - first)
        hum = np.zeros(end - first)
        if newer is not None:
            hum += rise * newer[1][: end - first]
        if older is not None:
            hum[:hop] += (1.0 - rise[:hop]) * older[1][hop : 2 * hop]
        heard = [one[0].steadiness for one in (older, newer) if one is not None]
        older = newer
        if not heard:
            continue
        samples[first:end] = (samples[first:end] - hum).astype(np.float32)
        if stretches and stretches[-1][1] == first:
            stretches[-1] = (stretches[-1][0], end, min(stretches[-1][2], *heard))
        else:
            stretches.append((first, end, min(heard)))
    return stretches
