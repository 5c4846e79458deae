"""How much of each bin is low noise: learned from recordings with gusts and noise over them (`corpus/low_noise.py`).

Three convolutions over frequency and time, each of half as many rows; four over time alone, ever wider, after the
second one what holds for the whole block; and back, beside what was heard at each step.
"""

from functools import cache
from importlib.resources import files

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

WEIGHTS = "low_noise_mask.safetensors"
NUM_BINS, WIDTH, NUM_LAYERS, WHOLE_AFTER = 256, 48, 4, 1
CHANNELS = (16, 16, 24)
ROWS = NUM_BINS // 8
QUIETEST = 1e-7


class LowNoiseMask(nn.Module):
    """The network."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        first, second, third = CHANNELS
        self.first = nn.Conv2d(4, first, (5, 3), (2, 1), (2, 1))
        self.second = nn.Conv2d(first, second, (5, 3), (2, 1), (2, 1))
        self.third = nn.Conv2d(second, third, (5, 3), (2, 1), (2, 1))
        self.into = nn.Conv1d(third * ROWS, WIDTH, 1)
        self.over = nn.ModuleList(
            nn.Conv1d(WIDTH, WIDTH, 3, padding=2**index, dilation=2**index) for index in range(NUM_LAYERS)
        )
        self.whole = nn.Linear(2 * WIDTH, WIDTH)
        self.out = nn.Conv1d(WIDTH, third * ROWS, 1)
        self.up3 = nn.Conv2d(2 * third, second, 3, padding=1)
        self.up2 = nn.Conv2d(2 * second, first, 3, padding=1)
        self.up1 = nn.Conv2d(first + 4, first // 2, 3, padding=1)
        self.last = nn.Conv2d(first // 2, 1, 3, padding=1)
        self.present = nn.Linear(2 * WIDTH, 1)

    def forward(
        self, power: Float[Tensor, "blocks bins frames"]
    ) -> tuple[Float[Tensor, "blocks bins frames"], Float[Tensor, "blocks"]]:
        """The logit of the share of each bin that is no noise, and the logit that taking the noise out does good."""
        steps, present = self.found(power)
        return self.shares(*steps), present

    def found(self, power: Float[Tensor, "blocks bins frames"]) -> tuple[tuple[Tensor, ...], Float[Tensor, "blocks"]]:
        """What `shares` needs, and the logit that taking the noise out does good: the cheaper half of the work."""
        loudness = power.mean(dim=(1, 2), keepdim=True)
        level = torch.log10(power / (loudness + 1e-12) + QUIETEST) / 3 + 1
        mean = level.mean(dim=-1, keepdim=True).expand_as(level)
        place = torch.log2(torch.arange(1, NUM_BINS + 1) / 16)[:, None].expand_as(level) / 4
        shown = torch.stack([level, mean, level - mean, place], dim=1)
        silu = functional.silu
        first = silu(self.first(shown))
        second = silu(self.second(first))
        third = silu(self.third(second))
        values = silu(self.into(third.flatten(1, 2)))
        for index, layer in enumerate(self.over):
            values = values + silu(layer(values))
            if index == WHOLE_AFTER:
                whole = torch.cat([values.mean(dim=-1), (values.var(dim=-1) + 1e-6).sqrt()], dim=1)
                values = values + self.whole(whole)[..., None]
        present: Tensor = self.present(torch.cat([values.mean(dim=-1), values.amax(dim=-1)], dim=1))[:, 0]
        return (shown, second, third, values), present

    def shares(self, shown: Tensor, second: Tensor, third: Tensor, values: Tensor) -> Tensor:
        """The logit of the share of each bin that is no noise, [blocks, bins, frames]."""
        silu = functional.silu
        back = silu(self.out(values)).reshape(third.shape)
        for layer, beside in ((self.up3, third), (self.up2, second)):
            back = _finer(silu(layer(torch.cat([back, beside], dim=1))))
        back = silu(self.up1(torch.cat([_finer(back), shown], dim=1)))
        logits: Tensor = self.last(back)[:, 0] + 1
        return logits


def _finer(values: Float[Tensor, "blocks channels rows frames"]) -> Tensor:
    return values.repeat_interleave(2, dim=2)


@torch.inference_mode()
def heard(power: NDArray[np.float32], least_presence: float) -> tuple[NDArray[np.float32], float]:
    """The share of each bin of `power` [frames, NUM_BINS + 1] that is noise, 0 to 1, and how likely there is any.

    Where that is not more than `least_presence` all shares are 0.
    """
    network = _network()
    steps, present = network.found(torch.from_numpy(np.ascontiguousarray(power[:, :NUM_BINS].T))[None])
    if (presence := float(present.sigmoid())) <= least_presence:
        return np.zeros_like(power), presence
    share = torch.sigmoid(-network.shares(*steps)[0]).T.numpy()
    return np.pad(share, ((0, 0), (0, 1))), presence


@cache
def _network() -> LowNoiseMask:
    network = LowNoiseMask()
    network.load_state_dict(load(files("audiobuff_core.treatment").joinpath(WEIGHTS).read_bytes()))
    return network.eval()
