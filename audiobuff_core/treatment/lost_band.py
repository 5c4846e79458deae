"""A band that was cut off: filled with noise as loud as what was there seems to have been."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.bandwidth import band_edge_hz
from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.treatment import band_envelope
from audiobuff_core.treatment.band_envelope import EDGES_HZ, NOTHING_DB, Levels, lost_bands
from audiobuff_core.treatment.protocols import Treated, treat_channels
from audiobuff_core.treatment.short_time import ShortTime

# All that is added, against all that is there: what was whole and is taken for cut off comes back at 46 dB all the
# same. Less than the least, or than the rounding of 16 bits, is not worth touching a recording for.
MOST_DB, LEAST_DB, INAUDIBLE_DB = -46.0, -57.0, -96.0
# What the low guess must have of the energy of the middle one: where it is next to nothing, so may the truth be.
LEAST_AGREEMENT = 0.04
# So far above nothing a guess must be.
SOMETHING_DB = 10.0
RAMP = (0.985, 1.015)
SEED = 20_261
BLOCK_FRAMES = 512


class FillBand:
    """Fills what lies above a sharp edge of the band, where the sound below it tells that there was something.

    The envelope is a guess; the noise has no pitch and no words, and it stays soft. What is below the edge is not
    touched. A recording that never had more, as one made at a lower rate, is mostly told from one that lost it.
    """

    name = "lost_band"

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` with its lost band filled; the very `waveform` where none is lost, or nothing is known of it."""

        def filled(before: Samples) -> tuple[Samples, float] | None:
            edge_hz = band_edge_hz(Waveform(before[None], waveform.sample_rate))
            if edge_hz is None:
                return None
            lost = lost_bands(edge_hz)
            levels = band_envelope.levels_of(before, waveform.sample_rate)
            heard, mean_db = band_envelope.relative(levels, lost)
            low, middle = band_envelope.guessed(heard, lost)
            silent = (heard <= NOTHING_DB).all(axis=1)
            low[silent] = middle[silent] = NOTHING_DB
            agreement = _agreement(low, middle, lost)
            if agreement < LEAST_AGREEMENT:
                return None
            added = _noise(len(before), waveform.sample_rate, edge_hz, lost, (low + middle) / 2, mean_db)
            there, more = (float(np.square(one, dtype=np.float64).sum()) for one in (before, added))
            if more < max(10 ** (LEAST_DB / 10) * there, 10 ** (INAUDIBLE_DB / 10) * len(before)):
                return None
            gain = min(1.0, float(np.sqrt(10 ** (MOST_DB / 10) * there / more)))
            return before + np.float32(gain) * added, agreement

        return treat_channels(self.name, waveform, filled)


def _agreement(low: Levels, middle: Levels, lost: NDArray[np.bool_]) -> float:
    """What share of the energy of the middle guess the low one has, 0 to 1."""
    least, most = (float((10 ** (guess[:, lost] / 10)).sum()) for guess in (low, middle))
    return min(1.0, least / max(most, 1e-30))


def _noise(
    num_samples: int, sample_rate: int, edge_hz: float, lost: NDArray[np.bool_], levels: Levels, mean_db: float
) -> Samples:
    """Noise above the edge as loud as `levels` [half the frames, bands] relative to `mean_db` say; in blocks.

    The same for all channels, so that it lies in the middle.
    """
    transform = band_envelope.transform_of(sample_rate)
    white = np.random.default_rng(SEED).standard_normal(num_samples, dtype=np.float32)
    power = np.maximum(10 ** (levels / 10) - 10 ** ((NOTHING_DB + SOMETHING_DB) / 10), 0)
    decibels = 10 * np.log10(power + 1e-12) + mean_db - 10 * np.log10(np.square(transform.window).sum())
    shape = _shape(transform, sample_rate, edge_hz, lost)
    noise = np.empty_like(white)
    step, margin = BLOCK_FRAMES * transform.hop, transform.length
    for first in range(0, num_samples, step):
        begin, end = max(0, first - margin), min(num_samples, first + step + margin)
        spectrum = transform.spectrum(white[begin:end])
        frames = np.arange(len(spectrum)) + begin // transform.hop
        here, later = (np.minimum(one, len(decibels) - 1) for one in (frames // 2, (frames + 1) // 2))
        gains = 10 ** ((decibels[here] + decibels[later]) / 40 @ shape[0]) * shape[1]
        block = transform.samples((spectrum * gains).astype(np.complex64), end - begin)
        noise[first : first + step] = block[first - begin : first - begin + step]
    return noise


def _shape(
    transform: ShortTime, sample_rate: int, edge_hz: float, lost: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What each bin takes from each band [bands, bins], and the rise at the edge, [bins]."""
    hertz = np.arange(transform.num_bins) * sample_rate / transform.length
    middles = (EDGES_HZ[1:] + EDGES_HZ[:-1]) / 2
    shares = np.zeros((len(middles), len(hertz)), np.float32)
    for band in np.flatnonzero(lost):
        shares[band] = np.interp(hertz, middles[lost], np.flatnonzero(lost) == band)
    low, high = (share * edge_hz for share in RAMP)
    rise = np.clip((hertz - low) / (high - low), 0, 1)
    rise[hertz > EDGES_HZ[-1]] = 0
    return shares, rise.astype(np.float32)
