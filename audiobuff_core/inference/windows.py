"""Recordings of any length: overlapping windows whose velocities are averaged at every solver step.

The network sees one window at a time, the solver sees the whole track. So there is one noise and one trajectory, and
no cross-fade of results that were sampled apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from audiobuff_core.data.dataset import Stretch, side_stream
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.precision import Precision, autocast

BATCHED_WINDOWS = 16


@dataclass(frozen=True, slots=True)
class Window:
    """Frames [first, last) of a track."""

    first: int
    last: int


def plan_windows(num_frames: int, window_frames: int, overlap_frames: int) -> list[Window]:
    """Windows of `window_frames` that cover all frames, neighbours sharing at least `overlap_frames`.

    The last one ends with the track; a track shorter than a window has one window of its own length.
    """
    if num_frames <= window_frames:
        return [Window(0, num_frames)]
    hop = window_frames - overlap_frames
    firsts = [*range(0, num_frames - window_frames, hop), num_frames - window_frames]
    return [Window(first, first + window_frames) for first in firsts]


def window_weights(window: Window, num_frames: int, overlap_frames: int) -> Float[Tensor, "frames"]:
    """Linear ramps over the overlaps, flat elsewhere and at the track's two ends; always above 0."""
    count = window.last - window.first
    ramp = (torch.arange(count, dtype=torch.float32) + 0.5) / max(1, overlap_frames)
    rising = torch.ones(count) if window.first == 0 else ramp.clamp(max=1.0)
    falling = torch.ones(count) if window.last == num_frames else ramp.flip(0).clamp(max=1.0)
    return rising * falling


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """What the network is given of one recording, standardised.

    Attributes:
        damaged: [channels, frames, latent].
        frame_rate: of the target latents, in Hz.
        structure: the whole track's stream.
        semantic: the whole track's stream.
        tau: share of noise in the source.
    """

    damaged: Float[Tensor, "channels frames latent"]
    frame_rate: float
    structure: Stretch
    semantic: Stretch
    tau: float


class WindowedField:
    """The velocity of a whole track, [rows, frames, latent]; a field for the solver.

    With as many rows as channels every row has its conditions; with twice as many, the first half is without (for
    guidance in one batched pass).
    """

    def __init__(
        self,
        model: nn.Module,
        conditions: Conditions,
        *,
        window_frames: int,
        overlap_frames: int,
        precision: Precision,
        device: torch.device,
    ) -> None:
        """Cut the conditions into windows, once for all steps."""
        self.model, self.conditions, self.precision, self.device = model, conditions, precision, device
        num_frames = conditions.damaged.shape[1]
        self.windows = plan_windows(num_frames, window_frames, overlap_frames)
        self.weights = [window_weights(window, num_frames, overlap_frames) for window in self.windows]
        self.side_streams = [
            (self._cut(conditions.structure, window), self._cut(conditions.semantic, window)) for window in self.windows
        ]

    def _cut(self, stream: Stretch, window: Window) -> Stretch:
        begin, end = window.first / self.conditions.frame_rate, window.last / self.conditions.frame_rate
        # The frame at or before the window's beginning, to the one at or after its end.
        first = max(0, int(torch.searchsorted(stream.times, begin, right=True)) - 1)
        last = min(len(stream.times), int(torch.searchsorted(stream.times, end)) + 1)
        return Stretch(stream.values[first:last], stream.times[first:last] - begin)

    @torch.no_grad()
    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The velocity at `x_t` [rows, frames, latent] and `t` [rows]."""
        total = torch.zeros_like(x_t)
        weight = torch.zeros(x_t.shape[1], 1)
        for row in range(x_t.shape[0]):
            for indices in self._parts():
                velocities = self._velocities(x_t[row], t[row], row, x_t.shape[0], indices)
                for index, velocity in zip(indices, velocities, strict=True):
                    window, share = self.windows[index], self.weights[index][:, None]
                    total[row, window.first : window.last] += share * velocity
                    if row == 0:
                        weight[window.first : window.last] += share
        return total / weight

    def _parts(self) -> Iterator[list[int]]:
        for first in range(0, len(self.windows), BATCHED_WINDOWS):
            yield list(range(first, min(len(self.windows), first + BATCHED_WINDOWS)))

    def _velocities(self, x_t: Tensor, t: Tensor, row: int, rows: int, indices: list[int]) -> Tensor:
        """[windows, frames, latent] of one row, on the CPU."""
        channels = self.conditions.damaged.shape[0]
        without = rows == 2 * channels and row < channels
        damaged = self.conditions.damaged[row % channels]
        parts = [self.windows[index] for index in indices]
        x = torch.stack([x_t[part.first : part.last] for part in parts]).to(self.device)
        z = torch.stack([damaged[part.first : part.last] for part in parts]).to(self.device)
        count, frames = x.shape[:2]
        times = (torch.arange(frames, dtype=torch.float64) / self.conditions.frame_rate).expand(count, -1)
        structure, semantic = (
            self._side([self.side_streams[index][stream] for index in indices], without) for stream in (0, 1)
        )
        tau = torch.full((count,), self.conditions.tau, device=self.device)
        valid = torch.ones(count, frames, dtype=torch.bool, device=self.device)
        now = t.expand(count).to(self.device)
        with autocast(self.precision, self.device):
            velocity = self.model(x, now, tau, z, times.to(self.device), valid, structure, semantic)
        return velocity.float().cpu()  # type: ignore[no-any-return]

    def _side(self, stretches: list[Stretch], without: bool) -> SideStream:
        stream = side_stream(stretches)
        stream = replace(stream, dropped=torch.full_like(stream.dropped, without))
        return SideStream(
            stream.values.to(self.device),
            stream.times.to(self.device),
            stream.valid.to(self.device),
            stream.dropped.to(self.device),
        )
