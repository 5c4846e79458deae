"""How sure the network is of what it changed, by region and band.

`confidence = correction^2 / (correction^2 + doubt^2)`: the share of the error which the network expects its correction
to take away. A network that was trained to know its error (source `uncertainty`) gives the doubt itself, the standard
deviation around its estimate. Of the others the doubt is how far the result is from what the network says in one step
with both side streams hidden: two answers from different evidence. It is no calibrated probability.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from audiobuff_core.codecs.protocols import Codec
from audiobuff_core.flow.guidance import ALL_HIDDEN
from audiobuff_core.flow.source import SourceKind, make_source
from audiobuff_core.inference.windows import WindowedField

CELL_SECONDS = 0.1
MOST_COLUMNS = 600
# Every other edge of Zwicker's critical bands.
EDGES_HZ = (0.0, 200.0, 400.0, 630.0, 920.0, 1270.0, 1720.0, 2320.0, 3150.0, 4400.0, 6400.0, 9500.0, 15_500.0)
QUIETEST_DB = -99.0


@dataclass(frozen=True, slots=True)
class Bands:
    """Where a codec's latents lie in frequency.

    Attributes:
        edges_hz: of the bands, one more than there are bands.
        slices: the dimensions of each.
    """

    edges_hz: tuple[float, ...]
    slices: tuple[slice, ...]


def bands_of(codec: Codec) -> Bands:
    """The bands of a codec; a single one where its latents have no frequency axis."""
    top = codec.sample_rate / 2
    edges = [hz for hz in EDGES_HZ if hz < top]
    below = [codec.dims_below(hz) for hz in edges]
    counts = [0 if one is None else int(one.sum()) for one in below] + [codec.latent_dim]
    if below[-1] is None:
        return Bands((0.0, top), (slice(0, codec.latent_dim),))
    kept = [index for index in range(len(edges)) if counts[index + 1] > counts[index]]
    slices = tuple(slice(counts[index], counts[index + 1]) for index in kept)
    return Bands((*(edges[index] for index in kept), top), slices)


def doubt_of(
    field: WindowedField,
    source: SourceKind,
    noise: Float[Tensor, "channels frames latent"],
    x_1: Float[Tensor, "channels frames latent"],
) -> Float[Tensor, "channels frames latent"]:
    """How far from the truth the result `x_1` may be in every coefficient, standardised, at least 0."""
    if source == "uncertainty":
        return field.estimate()[1]
    still = torch.zeros(len(noise))
    x_0 = make_source(source, field.conditions.damaged, noise, still + field.conditions.tau)
    return (x_1 - x_0 - field(x_0, still, (ALL_HIDDEN,))).abs()


class ConfidenceMap:
    """Sums of squares of correction, doubt and what was heard, by cells of 0.1 s and a band, over all channels."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.bands: Bands | None = None
        self._sums: NDArray[np.float64] = np.zeros((3, 0, 0))

    def add(
        self,
        bands: Bands,
        seconds: Float[Tensor, "frames"],
        kept: tuple[float, float],
        correction: Float[Tensor, "channels frames latent"],
        doubt: Float[Tensor, "channels frames latent"],
        heard: Float[Tensor, "channels frames latent"],
    ) -> None:
        """Count the frames whose moments `seconds` are in `kept`; what is told of a moment twice counts twice."""
        inside = (seconds >= kept[0]) & (seconds < kept[1])
        if not inside.any():
            return
        cells = (seconds[inside] / CELL_SECONDS).long()
        self._grow(bands, int(cells[-1]) + 1)
        for kind, part in enumerate((correction, doubt, heard)):
            powers = torch.stack([part[:, inside, band].square().sum(dim=(0, 2)) for band in bands.slices])
            summed = torch.zeros(len(bands.slices), self._sums.shape[2]).index_add_(1, cells, powers)
            self._sums[kind] += summed.numpy()

    def _grow(self, bands: Bands, columns: int) -> None:
        if self.bands is None:
            self.bands = bands
            self._sums = np.zeros((3, len(bands.slices), 0))
        missing = columns - self._sums.shape[2]
        if missing > 0:
            self._sums = np.pad(self._sums, ((0, 0), (0, 0), (0, missing)))

    def between(self, begin_seconds: float, end_seconds: float) -> float | None:
        """The confidence, 0 to 1, of what was changed in a stretch; None where nothing was."""
        first = int(begin_seconds / CELL_SECONDS)
        last = max(first + 1, int(np.ceil(end_seconds / CELL_SECONDS - 1e-6)))
        correction, doubt, _ = self._sums[:, :, first:last].sum(axis=(1, 2))
        return round(float(correction / (correction + doubt)), 3) if correction > 0 else None

    def as_dict(self, start_seconds: float = 0.0) -> dict[str, Any] | None:
        """The map for a report, at most 600 columns; None where the network was not asked.

        `start_seconds`, `column_seconds`, `edges_hz`, and of every column (in time) the list of its bands (upwards):
        `change_db`, the correction relative to what was there, and `confidence`, 0 to 1, None without a correction.
        """
        if self.bands is None:
            return None
        joined = -(-self._sums.shape[2] // MOST_COLUMNS)
        missing = -self._sums.shape[2] % joined
        padded = np.pad(self._sums, ((0, 0), (0, 0), (0, missing)))
        correction, doubt, heard = padded.reshape(3, len(self.bands.slices), -1, joined).sum(axis=3)
        ratio_db = 10 * np.log10(np.maximum(correction, 1e-30) / np.maximum(heard, 1e-30))
        sure = correction / np.maximum(correction + doubt, 1e-30)
        return {
            "start_seconds": round(start_seconds, 4),
            "column_seconds": round(joined * CELL_SECONDS, 4),
            "edges_hz": [round(hz, 1) for hz in self.bands.edges_hz],
            "change_db": np.clip(ratio_db, QUIETEST_DB, -QUIETEST_DB).round().astype(int).T.tolist(),
            "confidence": list(_rounded(sure, correction)),
        }


def _rounded(sure: NDArray[np.float64], correction: NDArray[np.float64]) -> Iterator[Sequence[float | None]]:
    for column, changes in zip(sure.T, correction.T, strict=True):
        yield [round(float(one), 2) if change > 0 else None for one, change in zip(column, changes, strict=True)]
