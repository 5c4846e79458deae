"""Fixed windows for encoders that hear a stretch as a whole, the same in training and in restoration."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class FeatureWindow:
    """Samples [begin, end) are encoded; of what comes out, frames [first, last) of the track are kept."""

    begin: int
    end: int
    first: int
    last: int


def plan_feature_windows(
    num_frames: int, *, hop_length: int, window_frames: int, overlap_frames: int
) -> Iterator[FeatureWindow]:
    """Windows that start every `window_frames - overlap_frames` frames, neighbours meeting mid-overlap.

    Where they lie depends on nothing but the frame: a longer track has the same windows and some more. A track as
    long as a window or shorter has one, of `num_frames`.
    """
    step, half = window_frames - overlap_frames, overlap_frames // 2
    first = 0
    for start in range(0, max(1, num_frames - overlap_frames), step):
        end = min(num_frames, start + window_frames)
        last = num_frames if end == num_frames else end - half
        yield FeatureWindow(start * hop_length, end * hop_length, first, last)
        first = last


def encode_windows(
    encode: Callable[[Tensor], Tensor],
    samples: Tensor,
    *,
    num_frames: int,
    hop_length: int,
    window_frames: int,
    overlap_frames: int,
) -> Tensor:
    """[num_frames, dim] of `samples` [at least num_frames * hop_length], window by window.

    `encode` takes the samples of a window and returns at least one frame a hop.
    """
    pieces = []
    windows = plan_feature_windows(
        num_frames, hop_length=hop_length, window_frames=window_frames, overlap_frames=overlap_frames
    )
    for window in windows:
        encoded = encode(samples[window.begin : window.end])
        ahead = window.begin // hop_length
        pieces.append(encoded[window.first - ahead : window.last - ahead])
    return torch.cat(pieces)
