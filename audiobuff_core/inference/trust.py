"""How far corrections of a network are to be trusted, band by band: learned from such as were right or wrong.

A network says how far off it expects to be, but on unfamiliar sounds it is surer than it should be, and a bound that
keeps all of them intact keeps most corrections from being made. Whether one is right shows in more than its doubt: in
how large it is in the other bands, in how it comes and goes, in whether it takes away or adds. This small network sees
all of that for five seconds around; two convolutions over the bands, each beside the mean over all of them. It belongs
to the weights that it was taught with, by `corpus/trust.py`, and lies beside them.
"""

import hashlib
from collections.abc import Sequence

import torch
from jaxtyping import Float
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from audiobuff_core.errors import InvalidCheckpoint

TRUST_NAME = "trust.safetensors"
CELL_SECONDS, WINDOW_CELLS = 0.25, 20
WIDTH, TAPS = 24, 3
LEAST_POWER = 1e-6
FARTHEST = 4.0
# Of what the network is asked: below this certainty nothing is corrected, from the second one on all of it.
LEAST_CERTAINTY, SURE = 0.7, 0.8


class Trust(nn.Module):
    """Several judges, each of which gives a logit for every band of a window; what counts is their mean."""

    def __init__(self, num_judges: int = 1) -> None:
        """Make the layers of all of them, side by side, and a standardisation that changes nothing."""
        super().__init__()
        wide = WIDTH * num_judges
        self.first = nn.Conv1d(NUM_FEATURES * num_judges, wide, TAPS, padding=TAPS // 2, groups=num_judges)
