"""Low noise: wind on a microphone, traffic, brown noise; taken out where a small network finds it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.treatment.noise_floor import power_of
from audiobuff_core.treatment.protocols import Treated, treat_channels
from audiobuff_core.treatment.short_time import ShortTime, Spectrum

# It lies below; 128 ms tell its noise from the tones of a bass, of which the network hears eight seconds at a time.
ANALYSIS_RATE = 4000
FRAME, HOP = 512, 128
BLOCK_FRAMES, FADE_FRAMES = 250, 31
SHORTEST_SECONDS = 1.0
# Where noise is less likely than this to the mask, its judge is not asked.
LEAST_PRESENCE = 0.4
# Below the first certainty a block is left as it was, from the second on all of its noise is taken out.
LEAST_CERTAINTY, SURE = 0.6, 0.7
# As sure as this, it needs no second witness: some music has wind of its own.
CERTAIN = 0.95
# Noise this far below the sound is not worth touching a recording for.
FAINT_DB = -30.0


class DenoiseLow:
    """Takes out noise below 2 kHz, gusts too, by a zero-phase filter that follows it from frame to frame.

    A network says of every bin how much of it is noise (`low_noise_mask`), and another of every eight seconds how sure
    it is that they are better without (`low_noise_judge`); a bass, an engine or wind by itself is what was recorded.
    """

    name = "low_noise"

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` with less low noise; the very `waveform` where none is certain."""
        return without_low_noise(waveform, lambda _before, _noise: False)


def without_low_noise(waveform: Waveform, is_noise: Callable[[Samples, Samples], bool]) -> Treated:
    """`waveform` less the low noise of each channel that is certain, or of which `is_noise` says so.

    Args:
        waveform: any.
        is_noise: a second witness, who is told a channel and the noise in it, both [samples].
    """
    import soxr

    rate = waveform.sample_rate

    def quieter(before: Samples) -> tuple[Samples, float] | None:
        if len(before) < SHORTEST_SECONDS * rate:
            return None
        low = np.asarray(soxr.resample(before, rate, ANALYSIS_RATE), np.float32)
        transform = ShortTime(FRAME, HOP)
        spectrum = transform.spectrum(low)
        taken, certainty = _taken(spectrum)
        if certainty <= LEAST_CERTAINTY:
            return None
        noise = soxr.resample(transform.samples(spectrum * taken, len(low)), ANALYSIS_RATE, rate)
        noise = np.pad(noise, (0, max(0, len(before) - len(noise))))[: len(before)]
        there, less = (float(np.square(one, dtype=np.float64).sum()) for one in (before, noise))
        if less <= 10 ** (FAINT_DB / 10) * there:
            return None
        return (before - noise, certainty) if certainty > CERTAIN or is_noise(before, noise) else None

    return treat_channels(DenoiseLow.name, waveform, quieter)


def _taken(spectrum: Spectrum) -> tuple[NDArray[np.float32], float]:
    """What share of each bin of `spectrum` [frames, bins] is noise, of the same shape, and how sure it is at most."""
    from audiobuff_core.treatment.low_noise_judge import certainty_of_low_noise, evidence_of
    from audiobuff_core.treatment.low_noise_mask import heard

    power = power_of(spectrum)
    taken, weights = np.zeros_like(power), np.zeros((len(power), 1), np.float32)
    surest = 0.0
    for first in range(0, max(1, len(power) - FADE_FRAMES), BLOCK_FRAMES - FADE_FRAMES):
        begin = max(0, min(first, len(power) - BLOCK_FRAMES))
        block = power[begin : begin + BLOCK_FRAMES]
        share, presence = heard(block, LEAST_PRESENCE)
        certainty = certainty_of_low_noise(evidence_of(block, share, presence)) if share.any() else 0.0
        weight = np.minimum(np.arange(1, len(share) + 1), np.arange(len(share), 0, -1)).clip(max=FADE_FRAMES)
        weight = weight[:, None].astype(np.float32)
        share *= np.clip((certainty - LEAST_CERTAINTY) / (SURE - LEAST_CERTAINTY), 0, 1)
        taken[begin : begin + len(share)] += weight * share
        weights[begin : begin + len(share)] += weight
        surest = max(surest, certainty)
    return np.asarray(taken / weights, np.float32), surest
