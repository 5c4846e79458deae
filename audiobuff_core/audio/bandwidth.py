"""How far up the spectrum of a recording reaches, and whether something cut it off there."""

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform

WINDOW_SAMPLES = 4096
BATCHED_FRAMES = 64
FLOOR_DB = 60.0
# Blackman-Harris, four terms: side lobes 92 dB down, so that leakage hides no band edge (a Hann window's would).
WINDOW_TERMS = (0.35875, 0.48829, 0.14128, 0.01168)

# An edge: from this much over what lies above it ...
EDGE_DB = 6.0
# ... to this much over it within less than a quarter of an octave. Nature rolls off ten times slower.
CLIFF_DB = 20.0
CLIFF_BAND = (0.85, 0.93)
SMOOTHING_HZ = 150.0
# What is so far under the loudest bin is nothing: the window's own side lobes are.
LEAKAGE_DB = 90.0
# Converters and lossy codecs at their best end between here and the top: that counts as full.
FULL_SHARE = 0.88
LOWEST_EDGE_HZ = 2_000.0
# White noise of this RMS would be as strong as what is above the edge, dBFS: 16 bits with dither are at -93.
NOTHING_DB = -80.0


def bandwidth_hz(waveform: Waveform) -> float:
    """The highest frequency at which the mean power spectrum is within 60 dB of its maximum; 0 for silence.

    Frames of 4096 samples under a Blackman-Harris window, half overlapped, averaged over time and channels.
    """
    power = _mean_power(waveform)
    if not power.any():
        return 0.0
    loud = np.flatnonzero(power >= power.max() * 10.0 ** (-FLOOR_DB / 10.0))
    return float(loud[-1]) * waveform.sample_rate / WINDOW_SAMPLES


def band_edge_hz(waveform: Waveform) -> float | None:
    """Where a lossy codec, a lower rate or a filter cut the recording off; None where nothing did.

    An edge is where a dense spectrum (its quiet bins, too, are 20 dB over what lies above) falls to that floor within
    a quarter of an octave, and nothing comes after it: no more than the rounding to 16 bits leaves. So a bass that has
    no treble has no edge, nor has a tone, nor a siren over hiss.
    It lies where the level has fallen half of the way, in decibels. Edges over 88 % of half the rate count as full
    band, those under 2 kHz are not looked for.
    """
    power = _mean_power(waveform)
    if not power.any():
        return None
    bin_hz = waveform.sample_rate / WINDOW_SAMPLES
    half_rate_hz = waveform.sample_rate / 2.0
    width = max(1, round(SMOOTHING_HZ / bin_hz))
    level_db = 10.0 * np.log10(power + power.max() * 1e-16)
    smooth_db = np.convolve(np.pad(level_db, width, mode="edge"), np.full(width, 1.0 / width), "same")[width:-width]
    top = smooth_db[int(0.95 * len(smooth_db)) : int(0.995 * len(smooth_db))]
    if float(np.median(top)) > NOTHING_DB:
        return None
    floor_db = max(float(np.median(top)), float(level_db.max()) - LEAKAGE_DB)
    above = np.flatnonzero(smooth_db > max(floor_db + EDGE_DB, float(top.max()) + 1.0))
    foot = int(above[-1]) if len(above) else 0
    below = level_db[int(CLIFF_BAND[0] * foot) : int(CLIFF_BAND[1] * foot)]
    if not LOWEST_EDGE_HZ <= foot * bin_hz < FULL_SHARE * half_rate_hz:
        return None
    if float(np.quantile(below, 0.1)) < floor_db + CLIFF_DB:
        return None
    half_way = np.flatnonzero(smooth_db[: foot + 1] >= (floor_db + float(np.median(below))) / 2.0)
    return float(half_way[-1]) * bin_hz


def _mean_power(waveform: Waveform) -> NDArray[np.float64]:
    """Power of each of the 2049 bins, averaged over frames and channels, without that of an offset.

    White noise has its mean square in every bin.
    """
    missing = max(0, WINDOW_SAMPLES - waveform.num_samples)
    padded = np.pad(waveform.samples, ((0, 0), (0, missing)))
    angles = 2.0 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES
    window = sum((-1.0) ** k * term * np.cos(k * angles) for k, term in enumerate(WINDOW_TERMS))
    power = np.zeros(WINDOW_SAMPLES // 2 + 1)
    frames = sliding_window_view(padded, WINDOW_SAMPLES, axis=1)[:, :: WINDOW_SAMPLES // 2]
    for first in range(0, frames.shape[1], BATCHED_FRAMES):
        # In single precision: its rounding is 140 dB down, far below the window's own side lobes.
        part = frames[:, first : first + BATCHED_FRAMES] * np.asarray(window, dtype=np.float32)
        spectra = scipy.fft.rfft(part, axis=-1)
        power += (np.square(spectra.real) + np.square(spectra.imag)).sum(axis=(0, 1), dtype=np.float64)
    power[0] = 0.0  # an offset is no sound
    return np.asarray(power / (frames.shape[1] * waveform.channels * np.sum(np.square(window))))
