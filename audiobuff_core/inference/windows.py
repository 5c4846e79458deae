"""Recordings of any length: overlapping windows whose velocities are averaged at every solver step.

The network sees one window at a time, the solver sees the whole track. So there is one noise and one trajectory, and
no cross-fade of results that were sampled apart.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from audiobuff_core.data.dataset import Stretch, side_stream
from audiobuff_core.flow.guidance import ALL_SHOWN, Hidden
from audiobuff_core.models.backbone import Prediction
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.rotary import on_device
from audiobuff_core.precision import Precision, autocast

# A processor gains nothing from more of them at once, and needs their memory.
BATCHED_WINDOWS, BATCHED_WINDOWS_CPU = 16, 8


@dataclass(frozen=True, slots=True)
class Window:
    """Frames [first, last) of a track."""

    first: int
    last: int


def plan_windows(num_frames: int, window_frames: int, overlap_frames: int) -> list[Window]:
    """The fewest windows of at most `window_frames` that cover all frames, neighbours sharing `overlap_frames` or more.

    They are equally long, and no longer than it takes: whatever neighbours share is computed twice.
    """
    if num_frames <= window_frames:
        return [Window(0, num_frames)]
    count = -(-(num_frames - overlap_frames) // (window_frames - overlap_frames))
    length = -(-(num_frames + (count - 1) * overlap_frames) // count)
    # Rounding down never parts neighbours by more than this on average, rounded up.
    firsts = [index * (num_frames - length) // (count - 1) for index in range(count)]
    return [Window(first, first + length) for first in firsts]


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
    """The velocity of a whole track, a `BranchedField` for the solver, and its estimate."""

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
        self._estimate: tuple[Tensor, Tensor] | None = None

    def _cut(self, stream: Stretch, window: Window) -> Stretch:
        begin, end = window.first / self.conditions.frame_rate, window.last / self.conditions.frame_rate
        # The frame at or before the window's beginning, to the one at or after its end.
        first = max(0, int(torch.searchsorted(stream.times, begin, right=True)) - 1)
        last = min(len(stream.times), int(torch.searchsorted(stream.times, end)) + 1)
        return Stretch(stream.values[first:last], stream.times[first:last] - begin)

    def __call__(self, x_t: Tensor, t: Tensor, branches: tuple[Hidden, ...] = (ALL_SHOWN,)) -> Tensor:
        """The velocity at `x_t` [branches * channels, frames, latent] and `t` [branches * channels]."""
        return self._averaged(x_t, t, self.conditions.tau, branches)[0]

    def estimate(self) -> tuple[Float[Tensor, "channels frames latent"], Float[Tensor, "channels frames latent"]]:
        """Mean and standard deviation of the clean latents, by a network that predicts scales.

        The mean is what the velocity at the damaged latent, t = 0 and tau = 0, points at. Asked again, the same.
        """
        if self._estimate is None:
            damaged = self.conditions.damaged
            velocity, log_scale = self._averaged(damaged, torch.zeros(len(damaged)), 0.0, (ALL_SHOWN,))
            self._estimate = (velocity.add_(damaged), log_scale.exp_())  # in place: a long section takes much memory
        return self._estimate

    @torch.no_grad()
    def _averaged(self, x_t: Tensor, t: Tensor, tau: float, branches: tuple[Hidden, ...]) -> tuple[Tensor, Tensor]:
        """The windows' velocities, and log scales (zero if there are none), averaged over the whole track."""
        velocity, log_scale = torch.zeros_like(x_t), torch.zeros_like(x_t)
        weight = torch.zeros(x_t.shape[1], 1)
        for window, share in zip(self.windows, self.weights, strict=True):
            weight[window.first : window.last] += share[:, None]
        pieces = [(row, index) for row in range(len(x_t)) for index in range(len(self.windows))]
        together = BATCHED_WINDOWS_CPU if self.device.type == "cpu" else BATCHED_WINDOWS
        for begin in range(0, len(pieces), together):
            part = pieces[begin : begin + together]
            predicted = self._predicted(x_t, t, tau, branches, part)
            for place, (row, index) in enumerate(part):
                window, share = self.windows[index], self.weights[index][:, None]
                velocity[row, window.first : window.last] += share * predicted.velocity[place].float().cpu()
                if predicted.log_scale is not None:
                    log_scale[row, window.first : window.last] += share * predicted.log_scale[place].float().cpu()
        return velocity.div_(weight), log_scale.div_(weight)

    def _predicted(
        self, x_t: Tensor, t: Tensor, tau: float, branches: tuple[Hidden, ...], pieces: list[tuple[int, int]]
    ) -> Prediction:
        """What the network says of some (row, window) pieces, [pieces, frames, latent]."""
        channels, device = len(self.conditions.damaged), self.device
        parts = [(row, self.windows[index]) for row, index in pieces]
        x = torch.stack([x_t[row, part.first : part.last] for row, part in parts]).to(device)
        damaged = torch.stack(
            [self.conditions.damaged[row % channels, part.first : part.last] for row, part in parts]
        ).to(device)
        count, frames = x.shape[:2]
        times = (torch.arange(frames, dtype=torch.float64) / self.conditions.frame_rate).expand(count, -1)
        times = on_device(times, device)
        hidden = [branches[row // channels] for row, _ in pieces]
        streams = [self.side_streams[index] for _, index in pieces]
        structure = self._side([pair[0] for pair in streams], [one.structure for one in hidden])
        semantic = self._side([pair[1] for pair in streams], [one.semantic for one in hidden])
        now = torch.stack([t[row] for row, _ in pieces]).to(device)
        share = torch.full((count,), tau, device=device)
        valid = torch.ones(count, frames, dtype=torch.bool, device=device)
        with autocast(self.precision, device):
            predicted: Prediction = self.model(x, now, share, damaged, times, valid, structure, semantic)
        return predicted

    def _side(self, stretches: list[Stretch], dropped: list[bool]) -> SideStream:
        stream = replace(side_stream(stretches), dropped=torch.tensor(dropped))
        return SideStream(
            stream.values.to(self.device),
            on_device(stream.times, self.device),
            stream.valid.to(self.device),
            stream.dropped.to(self.device),
        )
