"""Mains hum and its harmonics, also where the mains drift."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.treatment.hum_fit import HumFit, fit_hum
from audiobuff_core.treatment.protocols import Repair, Treated, change_db

ANALYSIS_RATE = 3000
BLOCK_SECONDS = 30
LOWEST_RATE = 8000


class Dehum:
    """Subtracts a hum near 50 or 60 Hz: steady harmonics of one fundamental that may drift, found in every pause.

    Each channel by itself, in blocks of 30 s that overlap by half and are cross-faded, so a hum may also begin, end or
    change. Blocks without a verified hum are left bit for bit as they are.
    """

    name = "hum"

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` without its hum; untouched below 8 kHz."""
        if waveform.sample_rate < LOWEST_RATE:
            return Treated(waveform)
        samples: NDArray[np.float32] | None = None
        repairs: list[Repair] = []
        for channel in range(waveform.channels):
            fits = _fits(waveform, channel)
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


def _fits(waveform: Waveform, channel: int) -> list[HumFit | None]:
    import soxr

    fits: list[HumFit | None] = []
    starts = _block_starts_seconds(waveform.duration_seconds)
    for start in starts:
        end = None if start == starts[-1] else (start + BLOCK_SECONDS) * waveform.sample_rate
        block = waveform.samples[channel, start * waveform.sample_rate : end].astype(np.float64)
        fits.append(fit_hum(soxr.resample(block, waveform.sample_rate, ANALYSIS_RATE), ANALYSIS_RATE))
    return fits


def _subtract(
    samples: NDArray[np.float32], sample_rate: int, fits: list[HumFit | None]
) -> list[tuple[int, int, float]]:
    """Take the hum of `fits` out of one channel, in place, a second at a time; the treated stretches [first, end)."""
    hop = BLOCK_SECONDS // 2
    stretches: list[tuple[int, int, float]] = []
    for first in range(0, len(samples), sample_rate):
        end = min(first + sample_rate, len(samples))
        seconds = np.arange(first, end) / sample_rate
        second = first // sample_rate
        newer = min(second // hop, len(fits) - 1)
        # The older block fades out while the newer one fades in, over the half block that they share.
        share = np.clip(seconds / hop - newer, 0.0, 1.0) if newer > 0 and second < (newer + 1) * hop else None
        blocks = [(newer, 1.0)] if share is None else [(newer - 1, 1.0 - share), (newer, share)]
        heard = [(fits[index], index, weight) for index, weight in blocks]
        hum = sum(
            (fit.at(seconds - index * hop, ANALYSIS_RATE) * weight for fit, index, weight in heard if fit is not None),
            start=np.zeros(end - first),
        )
        steadiness = [fit.steadiness for fit, _, _ in heard if fit is not None]
        if not steadiness:
            continue
        samples[first:end] = (samples[first:end] - hum).astype(np.float32)
        if stretches and stretches[-1][1] == first:
            stretches[-1] = (stretches[-1][0], end, min(stretches[-1][2], min(steadiness)))
        else:
            stretches.append((first, end, min(steadiness)))
    return stretches
