"""Long recordings in sections, so that memory depends on a section and not on the recording.

Sections overlap: what is near the end of one is thrown away, and neighbours are joined by a short cross-fade where
both have heard the same for seconds before and after. A shorter recording is one section: nothing is joined.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from audiobuff_core.audio.loudness import gain_of_rms
from audiobuff_core.audio.waveform import Samples
from audiobuff_core.codecs.protocols import Codec
from audiobuff_core.seeding import torch_generator

# Of one channel; of more, shorter sections, so that they need not as many times the memory.
SECTION_SECONDS, CHANNEL_SECONDS, SHORTEST_SECONDS = 90.0, 120.0, 30.0
CONTEXT_SECONDS = 10.0
JOIN_SECONDS = 0.25
NOISE_BLOCK_FRAMES = 1024
LEVEL_STRETCH_SAMPLES = 1 << 22

Read = Callable[[int, int], Samples]
"""Samples [first, last) of a recording, float32 [channels, last - first]."""


@dataclass(frozen=True, slots=True)
class Section:
    """Samples [first, last) are restored, of which [keep_first, keep_last) are kept.

    Attributes:
        first_frame: the latent frame at `first`.
    """

    first: int
    last: int
    keep_first: int
    keep_last: int
    first_frame: int


def plan_sections(
    num_samples: int, sample_rate: int, codec: Codec, channels: int = 1, *, section_seconds: float | None = None
) -> list[Section]:
    """Sections that cover all samples, each beginning where a latent frame of the whole recording does."""
    if section_seconds is None:
        section_seconds = min(SECTION_SECONDS, max(SHORTEST_SECONDS, CHANNEL_SECONDS / channels))
    # A frame is hop_length / codec.sample_rate seconds: so many frames are a whole number of samples.
    unit = codec.sample_rate // math.gcd(codec.sample_rate, codec.hop_length * sample_rate)
    unit_samples = unit * codec.hop_length * sample_rate // codec.sample_rate
    step = max(1, round(section_seconds * sample_rate / unit_samples)) * unit_samples
    context = max(1, round(CONTEXT_SECONDS * sample_rate / unit_samples)) * unit_samples
    half_join = int(JOIN_SECONDS * sample_rate / 2)
    sections = []
    for begin in range(0, num_samples, step):
        # A short rest is part of its neighbour.
        end = num_samples if num_samples - begin - step <= context else begin + step
        first, last = max(0, begin - context), min(num_samples, end + context)
        keep_first = begin - half_join if begin else 0
        keep_last = end + half_join if end < num_samples else num_samples
        sections.append(Section(first, last, keep_first, keep_last, first // unit_samples * unit))
        if end == num_samples:
            break
    return sections


def joined(pieces: Iterator[tuple[Section, Samples]], sample_rate: int) -> Iterator[Samples]:
    """Successive stretches of the whole from what was kept of each section, cross-faded where two overlap."""
    tail: Samples | None = None
    for section, kept in pieces:
        length = 0 if tail is None else tail.shape[1]
        if tail is not None:
            rise = (np.arange(length, dtype=np.float32) + 0.5) / max(1, length)
            kept[:, :length] = tail + rise * (kept[:, :length] - tail)  # exact where both are the same
        overlap = 2 * int(JOIN_SECONDS * sample_rate / 2)
        is_last = section.keep_last == section.last
        end = kept.shape[1] if is_last else kept.shape[1] - overlap
        tail = None if is_last else kept[:, end:].copy()
        yield kept[:, :end]
        del kept  # else it would lie in memory while the next section is restored


def noise_at(first_frame: int, num_frames: int, dim: int, seed: int) -> Tensor:
    """Standard normal noise [num_frames, dim] of a recording's frames from `first_frame` on.

    It is drawn by place: whatever section asks for a frame gets the same.
    """
    begin, end = first_frame // NOISE_BLOCK_FRAMES, -(-(first_frame + num_frames) // NOISE_BLOCK_FRAMES)
    blocks = [
        torch.randn(NOISE_BLOCK_FRAMES, dim, generator=torch_generator("restore", seed, block))
        for block in range(begin, max(end, begin + 1))
    ]
    offset = first_frame - begin * NOISE_BLOCK_FRAMES
    return torch.cat(blocks)[offset : offset + num_frames]


def level_gain_of(read: Read, num_samples: int) -> float:
    """`level_gain` of the whole recording, read in stretches."""
    total, count = 0.0, 0
    for first in range(0, num_samples, LEVEL_STRETCH_SAMPLES):
        stretch = read(first, min(num_samples, first + LEVEL_STRETCH_SAMPLES))
        total += float(np.square(stretch, dtype=np.float64).sum())
        count += stretch.size
    return gain_of_rms(math.sqrt(total / max(1, count)))
