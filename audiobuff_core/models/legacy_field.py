"""The original's network behind the call of ours, so that one trainer trains both."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from audiobuff_core.models.backbone import Prediction
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.legacy import LegacyModel, StreamAligner


class LegacyField(LegacyModel):
    """`LegacyModel`, with the same state dict, called as `RestorationModel` is.

    What the original never looked at (the damaged latent, the share of noise, all clocks) is not passed on. It has no
    mask for padding either, so items of one length go through it together, each without its padding.
    """

    def forward(  # type: ignore[override]
        self,
        x_t: Float[Tensor, "batch frames latent"],
        t: Float[Tensor, "batch"],
        tau: Float[Tensor, "batch"],
        damaged: Float[Tensor, "batch frames latent"],
        times: Float[Tensor, "batch frames"],
        valid: Bool[Tensor, "batch frames"],
        structure: SideStream,
        semantic: SideStream,
    ) -> Prediction:
        """The velocity, 0 where a frame is padding; it predicts no scale."""
        velocity = torch.zeros_like(x_t, dtype=torch.float32)
        lengths = valid.sum(dim=1).tolist()
        for length in sorted(set(lengths)):
            rows = [row for row, own in enumerate(lengths) if own == length]
            x = x_t[rows, :length]
            xcodec = _aligned(self.aligner.xcodec_aligner, structure, rows, x)
            mae = _aligned(self.aligner.mae_aligner, semantic, rows, x)
            velocity[rows, :length] = self.vfn(x, t[rows], xcodec, mae).float()
        return Prediction(velocity, None)

    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())


def _aligned(aligner: StreamAligner, stream: SideStream, rows: list[int], x: Tensor) -> Tensor:
    """[rows, frames, latent]: each item's own frames stretched to the length of `x`; zeros, the null, if dropped."""
    aligned = []
    for row in rows:
        own = stream.values[row : row + 1, stream.valid[row]]
        kept = own.shape[1] > 0 and not bool(stream.dropped[row])
        # A dropped stream stays in the graph, so that all ranks have gradients of the same parameters.
        frames = own if own.shape[1] > 0 else stream.values[row : row + 1, :1]
        aligned.append(aligner(frames, x.shape[1]) * float(kept))
    return torch.cat(aligned)
