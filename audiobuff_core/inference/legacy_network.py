"""The original's network behind the call that our windows make."""

import torch
from torch import Tensor, nn

from audiobuff_core.models.backbone import Prediction
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.legacy import LegacyModel


class LegacyNetwork(nn.Module):
    """`LegacyModel` with the arguments of `RestorationModel`.

    What the original never looked at (the damaged latent, the share of noise, all clocks) is not passed on.
    """

    def __init__(self, legacy: LegacyModel) -> None:
        super().__init__()
        self.legacy = legacy

    def forward(
        self,
        x_t: Tensor,
        t: Tensor,
        tau: Tensor,
        damaged: Tensor,
        times: Tensor,
        valid: Tensor,
        structure: SideStream,
        semantic: SideStream,
    ) -> Prediction:
        """The velocity [batch, frames, latent] and no scale; a dropped stream is the original's null, zeros."""
        aligner = self.legacy.aligner
        xcodec = _aligned(aligner.xcodec_aligner, structure, x_t)
        mae = _aligned(aligner.mae_aligner, semantic, x_t)
        return Prediction(self.legacy.vfn(x_t, t, xcodec, mae), log_scale=None)


def _aligned(aligner: nn.Module, stream: SideStream, x_t: Tensor) -> Tensor:
    """[batch, frames, latent]: every item's own frames, without padding, stretched to the window's length."""
    rows = [
        torch.zeros_like(x_t[:1])
        if bool(stream.dropped[item]) or not bool(stream.valid[item].any())
        else aligner(stream.values[item : item + 1, stream.valid[item]], x_t.shape[1])
        for item in range(x_t.shape[0])
    ]
    return torch.cat(rows)
