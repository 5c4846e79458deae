"""How much of each bin of a noisy sound to keep: learned from recordings with noise over them (`corpus/noise_mask.py`).

It is told the noise's power and what a Wiener filter would keep, and corrects that: a note goes on, a hiss has no
shape. Bins in rows, finer below 5.5 kHz, where notes are close; seven times a convolution over time, ever wider, and
one over rows; and back to bins, beside what was heard.
"""

from collections.abc import Callable
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from audiobuff_core.precision import resolve_precision
from audiobuff_core.treatment.noise_floor import Power

WEIGHTS = "noise_mask.safetensors"
WIDTH, FIRST_HIGH, LOW_ROW, HIGH_ROW = 48, 256, 8, 16
DILATIONS = (1, 2, 4, 8, 16, 2, 4)
REACH_FRAMES = sum(DILATIONS)
NUM_FEATURES = 4
QUIETEST, LEAST_RATIO = 1e-7, 1e-3
KEPT = (0.003, 0.995)
# What it keeps is raised to this power: of recordings with true silence it had left more than there was.
SHARPER = 1.2


class NoiseMask(nn.Module):
    """The network."""

    def __init__(self) -> None:
        """Make the layers; the last ones are zero, so that it begins with what a Wiener filter keeps."""
        super().__init__()
        low, high = (NUM_FEATURES * row + 1 for row in (LOW_ROW, HIGH_ROW))
        self.low, self.high = nn.Conv2d(low, WIDTH, 1), nn.Conv2d(high, WIDTH, 1)
        self.over_time = nn.ModuleList(
            nn.Conv2d(WIDTH, WIDTH, (1, 3), padding=(0, one), dilation=(1, one)) for one in DILATIONS
        )
        self.over_rows = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, (3, 1), padding=(1, 0)) for _ in DILATIONS)
        self.beside_low, self.beside_high = nn.Conv2d(WIDTH + low, WIDTH, 1), nn.Conv2d(WIDTH + high, WIDTH, 1)
        self.last_low, self.last_high = nn.Conv2d(WIDTH, LOW_ROW, 1), nn.Conv2d(WIDTH, HIGH_ROW, 1)
        for layer in (self.last_low, self.last_high):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(
        self,
        power: Float[Tensor, "blocks bins frames"],
        noise: Float[Tensor, "blocks bins"],
        loudness: Float[Tensor, "blocks"],
        kept: Float[Tensor, "blocks bins frames"],
    ) -> Float[Tensor, "blocks bins frames"]:
        """The logit of what to keep.

        Args:
            power: of all that sounds.
            noise: mean power of the noise.
            loudness: mean of `power` over all bins and frames of the recording.
            kept: what a Wiener filter would multiply each bin by, 0 to 1.
        """
        loudness = loudness[:, None, None] + 1e-12
        first = torch.logit(kept.clamp(*KEPT))
        heard = torch.stack(
            [
                torch.log10(power / noise[..., None] + LEAST_RATIO) / 2,
                torch.log10(power / loudness + QUIETEST) / 3 + 1,
                (torch.log10(noise[..., None] / loudness + QUIETEST) / 3 + 1).expand_as(power),
                first / 4,
            ],
            dim=1,
        ).to(self.low.weight.dtype)
        low, high = _Rows(heard[:, :, :FIRST_HIGH], LOW_ROW, 0), _Rows(heard[:, :, FIRST_HIGH:], HIGH_ROW, FIRST_HIGH)
        silu = functional.silu
        values = silu(torch.cat([low.through(self.low), high.through(self.high)], dim=2))
        for time, rows in zip(self.over_time, self.over_rows, strict=True):
            values = values + rows(silu(time(values)))
        num_low = low.heard.shape[2]
        below, above = values[:, :, :num_low], values[:, :, num_low:]
        below = _bins(self.last_low(silu(low.through(self.beside_low, below))))
        above = _bins(self.last_high(silu(high.through(self.beside_high, above))))
        return torch.cat([below, above], dim=1)[:, : power.shape[1]] + first


class _Rows:
    """Bins row by row, [blocks, features * row, rows, frames], and where each row lies, [rows]."""

    def __init__(self, heard: Float[Tensor, "blocks features bins frames"], row: int, first: int) -> None:
        """Make rows of `row` bins, of which `first` is the first."""
        blocks, features, bins, frames = heard.shape
        heard = functional.pad(heard, (0, 0, 0, -bins % row), mode="replicate")
        heard = heard.reshape(blocks, features, -1, row, frames).transpose(2, 3).flatten(1, 2)
        self.heard = heard.contiguous(memory_format=torch.channels_last)
        self.place = torch.log2((first + row * (torch.arange(heard.shape[2]) + 0.5)) / 32) / 4

    def through(self, layer: nn.Conv2d, beside: Tensor | None = None) -> Tensor:
        """`layer` of what is `beside`, what is heard, and the place, as if they were one: to join them costs more."""
        weight = layer.weight
        others = weight.shape[1] - self.heard.shape[1] - 1
        place = weight[:, -1] * self.place.to(weight.dtype)[:, None]
        values = functional.conv2d(self.heard, weight[:, others:-1], layer.bias)
        values = values + place.to(values.dtype)
        return values if beside is None else values + functional.conv2d(beside, weight[:, :others])


def _bins(values: Float[Tensor, "blocks row rows frames"]) -> Float[Tensor, "blocks bins frames"]:
    return values.float().transpose(1, 2).flatten(1, 2)


@torch.inference_mode()
def kept_of(power: Power, noise: NDArray[np.float64], loudness: float, filtered: Callable[[Power], Power]) -> Power:
    """What to multiply each bin of `power` [frames, bins] by, 0 to 1.

    Args:
        power: of all that sounds.
        noise: mean power of the noise, [bins].
        loudness: mean of `power` over the whole recording.
        filtered: the Wiener filter, which says the same of `power`.
    """
    heard, kept = (torch.from_numpy(np.ascontiguousarray(one.T))[None] for one in (power, filtered(power)))
    level = torch.from_numpy(np.maximum(noise, 1e-12).astype(np.float32))[None]
    logits = _network()(heard, level, torch.tensor([loudness], dtype=torch.float32), kept)
    return np.asarray(logits[0].sigmoid().pow(SHARPER).T.numpy())


@cache
def _network() -> NoiseMask:
    network = NoiseMask()
    network.load_state_dict(load(files("audiobuff_core.treatment").joinpath(WEIGHTS).read_bytes()))
    dtype = torch.bfloat16 if resolve_precision("auto", torch.device("cpu")) == "bf16" else torch.float32
    return network.eval().to(dtype).to(memory_format=torch.channels_last)
