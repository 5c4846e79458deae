"""The geometry of DAC's residual quantiser: codes, the 72 numbers they stand for, and the 1024 the decoder takes."""

from typing import Any

import torch
from torch import Tensor


class DacSpace:
    """Codes [..., codebooks] <-> factorized [..., sum of codebook widths] <-> summed [..., hidden width].

    A *factorized* frame is the codebook entries side by side. A *summed* one is their projections, added up: it lies
    in a subspace as wide as the factorized frame, so a pseudo-inverse leads back exactly.
    """

    def __init__(self, quantizer: Any) -> None:  # noqa: ANN401 - of either package
        """Copy the codebooks and projections of `quantizer`, whose weight norm must be folded, to the CPU."""
        stages = list(quantizer.quantizers)
        self.codebooks: list[Tensor] = [stage.codebook.weight.detach().cpu() for stage in stages]
        self.codebook_size = int(self.codebooks[0].shape[0])
        self.widths = [int(codebook.shape[1]) for codebook in self.codebooks]
        self._entries = torch.cat(self.codebooks) if len(set(self.widths)) == 1 else None
        self._first_rows = torch.arange(len(self.codebooks)) * self.codebook_size
        projection = torch.cat([stage.out_proj.weight.detach().cpu()[:, :, 0] for stage in stages], dim=1)
        self._bias = torch.stack([stage.out_proj.bias.detach().cpu() for stage in stages]).sum(0)
        self._projection = projection
        self._inverse = torch.linalg.pinv(projection.double())

    @property
    def num_codebooks(self) -> int:
        """How many codes a frame has."""
        return len(self.codebooks)

    @property
    def factorized_dim(self) -> int:
        """Width of a factorized frame."""
        return sum(self.widths)

    @property
    def summed_dim(self) -> int:
        """Width of a summed frame."""
        return int(self._projection.shape[0])

    def from_codes(self, codes: Tensor) -> Tensor:
        """Factorized frames of integer `codes` [..., codebooks]."""
        if self._entries is not None and codes.shape[-1] == len(self.codebooks):
            return torch.nn.functional.embedding(codes.long() + self._first_rows, self._entries).flatten(-2)
        return torch.cat([book[codes[..., i].long()] for i, book in enumerate(self.codebooks)], dim=-1)

    def to_codes(self, factorized: Tensor) -> Tensor:
        """The nearest codes, int64 [..., codebooks]: nearest in direction, as DAC itself looks them up."""
        parts = torch.split(factorized, self.widths, dim=-1)
        return torch.stack([_nearest(part, book) for part, book in zip(parts, self.codebooks, strict=True)], dim=-1)

    def snap(self, factorized: Tensor) -> Tensor:
        """The codebook entries nearest to `factorized`."""
        return self.from_codes(self.to_codes(factorized))

    def to_summed(self, factorized: Tensor) -> Tensor:
        """What the decoder takes."""
        return factorized @ self._projection.T + self._bias

    def to_factorized(self, summed: Tensor) -> Tensor:
        """The factorized frame whose sum is nearest to `summed`: the very one, if there is one."""
        factorized: Tensor = (summed - self._bias).double() @ self._inverse.T
        return factorized.to(summed.dtype)


def _nearest(values: Tensor, codebook: Tensor) -> Tensor:
    rows = torch.nn.functional.normalize(values.reshape(-1, values.shape[-1]))
    return (rows @ torch.nn.functional.normalize(codebook).T).argmax(1).reshape(values.shape[:-1])
