"""FFmpeg's audio filters, through PyAV."""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.align import delay_samples

Channel = NDArray[np.float32]
Filters = tuple[tuple[str, str], ...]
"""Filters by name, each with its options as FFmpeg writes them."""

REPAIR_CHAIN: Filters = (("adeclick", ""), ("adeclip", ""), ("afftdn", ""))
MARGIN_SECONDS = 0.25
MOST_DELAY_SECONDS = 0.1


def ffmpeg_filtered(waveform: Waveform, filters: Sequence[tuple[str, str]]) -> Waveform:
    """`waveform` through `filters`, channel by channel, with the delay that they bring taken off."""
    chain, rate = tuple(filters), waveform.sample_rate
    delay = _delay(chain, rate)
    channels = [_through(channel, rate, chain, delay) for channel in waveform.samples]
    return Waveform(np.stack(channels), rate)


def _through(samples: Channel, sample_rate: int, filters: Filters, delay: int) -> Channel:
    # Mirrored at both ends: windows fade in at the start, and what is delayed past the end would be lost.
    margin = round(MARGIN_SECONDS * sample_rate)
    padded = np.pad(samples, margin, mode="reflect" if len(samples) > 1 else "edge")
    filtered = _run(padded, sample_rate, filters)[margin + delay : margin + delay + len(samples)]
    return np.pad(filtered, (0, len(samples) - len(filtered)))


@lru_cache(maxsize=64)
def _delay(filters: Filters, sample_rate: int) -> int:
    """By how many samples they delay; FFmpeg's filters don't say."""
    noise = 0.2 * np.random.default_rng(0).standard_normal((1, sample_rate)).astype(np.float32)
    filtered = _run(noise[0], sample_rate, filters)[None]
    most = round(MOST_DELAY_SECONDS * sample_rate)
    return max(0, delay_samples(noise, filtered[:, : noise.shape[1]], most_samples=most))


def _run(samples: Channel, sample_rate: int, filters: Filters) -> Channel:
    import av
    from av.filter import Graph

    graph = Graph()
    nodes = [graph.add_abuffer(sample_rate=sample_rate, format="fltp", layout="mono")]
    nodes += [graph.add(name, options) for name, options in filters]
    nodes.append(graph.add("aformat", f"sample_fmts=fltp:sample_rates={sample_rate}:channel_layouts=mono"))
    nodes.append(graph.add("abuffersink"))
    for before, after in itertools.pairwise(nodes):
        before.link_to(after)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = sample_rate, 0, Fraction(1, sample_rate)
    graph.push(frame)
    graph.push(None)
    pieces = []
    while True:
        try:
            pieces.append(graph.pull().to_ndarray()[0])
        except (av.BlockingIOError, av.EOFError):
            break
    filtered: Channel = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    return filtered
