"""Knowing a recording again in another format, at another level or rate: an acoustic fingerprint.

After Haitsma and Kalker, "A highly robust audio fingerprinting system", ISMIR 2002: a bit for each of 32 bands says
whether the step in energy from a band to the next grew since the frame before. Ours has shorter frames, as samples and
single strokes must be known again too, and says which frames have anything to hear.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform

RATE = 11_025
FRAME_SAMPLES = 2_048
HOP_SAMPLES = 176  # 16 ms
NUM_BANDS = 32
LOWEST_HZ, HIGHEST_HZ = 80.0, 4_000.0
LISTENED_SECONDS = 30.0
QUIET_DB = 50.0

# Copies as MP3 of 128 kbit/s differ in 2 % of the bits (the worst of the bundled clips in 17 %), other takes of the
# same stroke on the same drum in 19 % and more.
MOST_ERRORS = 0.175
SHORTEST_OVERLAP = 0.5
FEWEST_FRAMES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """The first half minute of a recording, 62.6 frames a second.

    Attributes:
        words: uint32 [frames], 32 bits each.
        heard: bool [frames], false where it is 50 dB under its loudest frame or silent.
    """

    words: NDArray[np.uint32]
    heard: NDArray[np.bool_]


def fingerprint(waveform: Waveform) -> Fingerprint:
    """The fingerprint of `waveform`, of which only the first half minute counts."""
    first = waveform.samples[:, : round(LISTENED_SECONDS * waveform.sample_rate)]
    samples = resample(Waveform(np.ascontiguousarray(first), waveform.sample_rate).mono(), RATE).samples[0]
    padded = np.pad(samples, (FRAME_SAMPLES // 2, FRAME_SAMPLES))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::HOP_SAMPLES]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(FRAME_SAMPLES).astype(np.float32), axis=1)))
    edges_hz = np.geomspace(LOWEST_HZ, HIGHEST_HZ, NUM_BANDS + 2)
    edges = np.round(edges_hz * FRAME_SAMPLES / RATE).astype(int)
    energy = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    total = energy.sum(axis=1)
    steps = np.diff(energy, axis=1)
    bits = np.diff(steps, axis=0, prepend=steps[:1]) > 0.0
    words = np.packbits(bits, axis=1, bitorder="little").view("<u4")[:, 0]
    heard = total > max(float(total.max()) * 10.0 ** (-QUIET_DB / 10.0), 1e-9)
    return Fingerprint(words, heard)


def error_share(one: Fingerprint, other: Fingerprint, offset: int) -> float:
    """The share of bits that differ where frame `i + offset` of `one` meets frame `i` of `other`; 1 without enough.

    Only frames heard in both count, and there must be half as many as the shorter of the two has.
    """
    first, last = max(0, -offset), min(len(other.words), len(one.words) - offset)
    if last <= first:
        return 1.0
    here, there = slice(first + offset, last + offset), slice(first, last)
    both = one.heard[here] & other.heard[there]
    if both.sum() < max(FEWEST_FRAMES, SHORTEST_OVERLAP * min(one.heard.sum(), other.heard.sum())):
        return 1.0
    wrong = np.bitwise_count(one.words[here] ^ other.words[there])[both]
    return float(wrong.mean()) / NUM_BANDS
