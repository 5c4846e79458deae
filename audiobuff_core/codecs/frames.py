"""Frames that travel with their clock."""

from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class FrameSequence:
    """Latents or features in time.

    Frame `i` belongs to the moment `start + i / rate`, in seconds from the first sample of the track.

    Attributes:
        values: float32, shape [channels, frames, dim].
        rate: frames a second, exact.
        start: seconds, the moment of frame 0.
        valid: bool, shape [frames]: False where a frame is padding.
        gains: float32, shape [channels]: what the encoder multiplied each channel by before it encoded, and `decode`
            divides by; None where it left the level alone.
    """

    values: Tensor
    rate: Fraction
    start: Fraction = Fraction(0)
    valid: Tensor | None = None
    gains: Tensor | None = None

    def __post_init__(self) -> None:
        """Check shapes and fill `valid`.

        Raises:
            ValueError: shapes disagree or the rate is not positive.
        """
        if self.values.ndim != 3:
            raise ValueError(f"Frames of shape {tuple(self.values.shape)}: expected [channels, frames, dim]")
        if self.rate <= 0:
            raise ValueError(f"Frame rate {self.rate}: expected more than 0 frames a second")
        if self.valid is None:
            object.__setattr__(self, "valid", torch.ones(self.num_frames, dtype=torch.bool))
        elif self.valid.shape != (self.num_frames,):
            raise ValueError(f"Mask of shape {tuple(self.valid.shape)}: expected [{self.num_frames}]")

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return int(self.values.shape[1])

    @property
    def dim(self) -> int:
        """Width of a frame."""
        return int(self.values.shape[2])

    @property
    def mask(self) -> Tensor:
        """`valid`, never None: bool, shape [frames]."""
        assert self.valid is not None
        return self.valid

    def times(self) -> Tensor:
        """The moment of each frame in seconds: float64, shape [frames]."""
        return torch.arange(self.num_frames, dtype=torch.float64) / float(self.rate) + float(self.start)

    def slice_seconds(self, begin: Fraction, end: Fraction) -> "FrameSequence":
        """The frames whose moment lies in [begin, end), with their true start."""
        first = max(0, -((self.start - begin) * self.rate // 1))
        last = max(first, min(self.num_frames, -((self.start - end) * self.rate // 1)))
        return replace(
            self,
            values=self.values[:, first:last],
            start=self.start + Fraction(first) / self.rate,
            valid=self.mask[first:last],
        )
