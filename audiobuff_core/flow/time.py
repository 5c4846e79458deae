"""How training draws its times."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

TimeDistribution = Literal["logit_normal", "uniform"]


def draw_times(
    count: int, distribution: TimeDistribution, generator: Generator, *, start_share: float = 0.0
) -> Float[Tensor, "count"]:
    """`count` times in [0, 1].

    Args:
        count: how many.
        distribution: `logit_normal` is sigmoid(N(0, 1)) (Esser et al. 2024, "Scaling Rectified Flow Transformers"),
            which dwells in the middle; `uniform` is U(0, 1).
        generator: source of the draws.
        start_share: probability that a time is exactly 0. Where the source is the damaged latent itself, only
            there does the network have to predict rather than read the answer off `x_t`.
    """
    if distribution == "logit_normal":
        t = torch.sigmoid(torch.randn(count, generator=generator))
    else:
        t = torch.rand(count, generator=generator)
    at_start = torch.rand(count, generator=generator) < start_share
    return torch.where(at_start, torch.zeros_like(t), t)
