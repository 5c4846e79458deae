"""Adaptive layer normalisation that starts as the identity (AdaLN-Zero, Peebles & Xie 2023)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class ModulationOut(NamedTuple):
    """Shift, scale and gate of one sub-layer, each [batch, 1, d_model]."""

    shift: Float[Tensor, "batch 1 d_model"]
    scale: Float[Tensor, "batch 1 d_model"]
    gate: Float[Tensor, "batch 1 d_model"]


class Modulation(nn.Module):
    """From the step's embedding to the modulations of `num_sublayers` sub-layers; all zero at the start."""

    def __init__(self, d_model: int, num_sublayers: int) -> None:
        """Make the one linear layer, zero-initialised."""
        super().__init__()
        self.num_sublayers = num_sublayers
        self.linear = nn.Linear(d_model, 3 * num_sublayers * d_model)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, embedding: Float[Tensor, "batch d_model"]) -> list[ModulationOut]:
        """One `ModulationOut` a sub-layer."""
        # One row an item: reading the weights is all the work, and low precision would first have to copy them.
        with torch.autocast(embedding.device.type, enabled=False):
            row = self.linear(functional.silu(embedding.float())).to(embedding.dtype)
        parts = row[:, None].chunk(3 * self.num_sublayers, dim=-1)
        return [ModulationOut(*parts[3 * index : 3 * index + 3]) for index in range(self.num_sublayers)]


class OffsetModulation(nn.Module):
    """Modulations that all blocks share, plus a table of the block's own.

    AdaLN-single (Chen et al. 2023, "PixArt-alpha"). Saves the largest matrix of every block,
    9 d_model^2 numbers of 27.
    """

    def __init__(self, d_model: int, num_sublayers: int) -> None:
        """Make the table, zero-initialised."""
        super().__init__()
        self.num_sublayers = num_sublayers
        self.table = nn.Parameter(torch.zeros(3 * num_sublayers * d_model))

    def forward(self, shared: Float[Tensor, "batch modulations"]) -> list[ModulationOut]:
        """One `ModulationOut` a sub-layer; `shared` is 3 `num_sublayers` d_model wide."""
        parts = (shared + self.table)[:, None].chunk(3 * self.num_sublayers, dim=-1)
        return [ModulationOut(*parts[3 * index : 3 * index + 3]) for index in range(self.num_sublayers)]


def modulate(
    normalised: Float[Tensor, "batch frames d_model"], modulation: ModulationOut
) -> Float[Tensor, "batch frames d_model"]:
    """`normalised (1 + scale) + shift`, in the precision in which the matrix products that follow take it."""
    modulated = normalised * (1 + modulation.scale) + modulation.shift
    device = modulated.device.type
    return modulated.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else modulated


class StepEmbedding(nn.Module):
    """The embedding of the flow's time `t` and of the source's `tau`, summed."""

    def __init__(self, d_model: int, num_frequencies: int = 64) -> None:
        """Make one small MLP for each scalar."""
        super().__init__()
        self.num_frequencies = num_frequencies
        self.time = nn.Sequential(nn.Linear(2 * num_frequencies, d_model), nn.SiLU(), nn.Linear(d_model, d_model))
        self.tau = nn.Sequential(nn.Linear(2 * num_frequencies, d_model), nn.SiLU(), nn.Linear(d_model, d_model))

    def forward(self, t: Float[Tensor, "batch"], tau: Float[Tensor, "batch"]) -> Float[Tensor, "batch d_model"]:
        """[batch, d_model] for `t` and `tau` in 0 to 1."""
        total: Tensor = self.time(self._waves(t)) + self.tau(self._waves(tau))
        return total

    def _waves(self, scalar: Tensor) -> Tensor:
        # Sinusoids of 1000 t, as in DDPM: on unscaled t nearly all frequencies would be flat.
        exponents = torch.arange(self.num_frequencies, device=scalar.device) / self.num_frequencies
        angles = 1000.0 * scalar.float()[:, None] * 10_000.0**-exponents
        return torch.cat([angles.sin(), angles.cos()], dim=-1)
