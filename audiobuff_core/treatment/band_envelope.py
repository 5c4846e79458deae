"""How loud every band above an edge was, moment by moment: learned from cut-off recordings.

What lies below the edge tells it: voices hiss when their tone stops, a cymbal rings on above where it was heard, and
what falls towards the edge goes on falling. Five convolutions over time, after the second one what holds for the whole
recording; taught by `corpus/band_envelope.py`.
"""

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from audiobuff_core.audio.waveform import Samples
from audiobuff_core.treatment.short_time import ShortTime

WEIGHTS = "band_envelope.safetensors"
FRAMES_A_SECOND, OVERLAP = 44_100 / 512, 4
# Even ones, then eighths of an octave.
EDGES_HZ = np.concatenate([np.arange(0.0, 2000.0, 200.0), 2000.0 * 2 ** (np.arange(28) / 8), [22_050.0]])
NUM_BANDS = len(EDGES_HZ) - 1
# Relative to the mean of all bands; what is further down counts as nothing.
NOTHING_DB, LOUDEST_DB = -90.0, 60.0
# The guesses: so many of a hundred bands were softer.
QUANTILES = (0.2, 0.5)
LAYERS, WHOLE_AFTER = 5, 1
SCALE_DB = 30.0
BLOCK_FRAMES = 1024

Levels = NDArray[np.float32]


def transform_of(sample_rate: int) -> ShortTime:
    """Frames of 46 ms, a quarter of it apart, at all rates nearly: the network was taught by 44.1 kHz alone."""
    hop = max(16, 16 * round(sample_rate / FRAMES_A_SECOND / 16))
    return ShortTime(OVERLAP * hop, hop)


def levels_of(channel: Samples, sample_rate: int) -> Levels:
    """Mean power of a bin in each band of every other frame of `transform_of(...)`, in dB, [frames, NUM_BANDS]."""
    transform = transform_of(sample_rate)
    outside = transform.length - transform.hop
    padded = np.pad(channel, (outside, outside + -len(channel) % transform.hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, transform.length)[:: 2 * transform.hop]
    bins = np.searchsorted(np.arange(transform.num_bins) * sample_rate / transform.length, EDGES_HZ)
    bins[-1] = transform.num_bins
    there = np.flatnonzero(bins[:-1] < bins[1:])
    levels = np.full((len(frames), NUM_BANDS), 1e-12, np.float32)
    for first in range(0, len(frames), BLOCK_FRAMES):
        spectrum = np.fft.rfft(frames[first : first + BLOCK_FRAMES] * transform.window, axis=1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        sums = np.add.reduceat(power, bins[there], axis=1)
        levels[first : first + BLOCK_FRAMES, there] = sums / np.diff(bins)[there]
    return np.asarray(10 * np.log10(np.maximum(levels, 1e-12)), dtype=np.float32)


def lost_bands(edge_hz: float) -> NDArray[np.bool_]:
    """Those that reach above the edge, [NUM_BANDS]."""
    return np.asarray(EDGES_HZ[1:] >= 0.99 * edge_hz)


def relative(levels: Levels, lost: NDArray[np.bool_]) -> tuple[Levels, float]:
    """`levels` as the network hears them, [frames, NUM_BANDS], and what was subtracted, in dB."""
    widths = np.diff(EDGES_HZ)
    mean_db = float(10 * np.log10((10 ** (levels / 10) @ widths).mean() / widths.sum() + 1e-12))
    heard = np.clip(levels - mean_db, NOTHING_DB, LOUDEST_DB)
    heard[:, lost] = NOTHING_DB
    return heard, mean_db


def guessed(heard: Levels, lost: NDArray[np.bool_]) -> Levels:
    """The guesses of all bands, relative like `heard`, in dB, [QUANTILES, frames, NUM_BANDS]."""
    marks = np.broadcast_to(lost.astype(np.float32), heard.shape)
    values = np.maximum(_layer("into", np.concatenate([heard / SCALE_DB + 1, marks], axis=1)), 0)
    for index in range(LAYERS):
        values = values + np.maximum(_layer(f"layers.{index}", values, dilation=2**index), 0)
        if index == WHOLE_AFTER:
            values = values + _layer("whole", np.concatenate([values.mean(axis=0), values.std(axis=0, ddof=1)])[None])
    guesses = _layer("out", values).reshape(len(heard), len(QUANTILES), NUM_BANDS)
    return np.asarray((guesses.transpose(1, 0, 2) - 1) * SCALE_DB)


def _layer(name: str, values: NDArray[np.float32], *, dilation: int = 1) -> NDArray[np.float32]:
    """`values` [frames, channels] by a layer of weights [outputs, channels, taps], zero beyond the ends."""
    weight, bias = (_weights()[f"{name}.{part}"].astype(np.float32) for part in ("weight", "bias"))
    reach = weight.shape[2] // 2 * dilation
    padded = np.pad(values, ((reach, reach), (0, 0)))
    result = np.zeros((len(values), len(bias)), np.float32) + bias
    for tap in range(weight.shape[2]):
        result += padded[tap * dilation : tap * dilation + len(values)] @ weight[:, :, tap].T
    return result


@cache
def _weights() -> dict[str, NDArray[np.float16]]:
    return load(files("audiobuff_core.treatment").joinpath(WEIGHTS).read_bytes())
