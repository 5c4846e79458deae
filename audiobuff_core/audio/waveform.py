"""Samples that travel with their rate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.errors import InvalidAudio

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Audio in memory.

    Attributes:
        samples: float32, shape [channels, samples], full scale +-1, finite, at least one sample.
        sample_rate: in Hz, 1 to 768000.
    """

    samples: Samples
    sample_rate: int

    def __post_init__(self) -> None:
        """Check shape, type, finiteness and rate.

        Raises:
            InvalidAudio: a property does not hold.
        """
        if self.samples.ndim != 2 or self.samples.shape[0] < 1 or self.samples.shape[1] < 1:
            raise InvalidAudio(
                f"Audio of shape {self.samples.shape}: expected [channels, samples], at least one of each"
            )
        if self.samples.dtype != np.float32:
            raise InvalidAudio(f"Audio of type {self.samples.dtype}: expected float32")
        if not 1 <= self.sample_rate <= 768_000:
            raise InvalidAudio(f"Sample rate {self.sample_rate} Hz: expected 1 to 768000 Hz")
        if not np.isfinite(self.samples).all():
            bad = int((~np.isfinite(self.samples)).sum())
            raise InvalidAudio(
                f"Audio with {bad} NaN or infinite samples: expected finite numbers; repair or re-export it"
            )

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def num_samples(self) -> int:
        """Samples in each channel."""
        return int(self.samples.shape[1])

    @property
    def duration_seconds(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate

    def mono(self) -> "Waveform":
        """The mean of all channels, as one channel."""
        if self.channels == 1:
            return self
        return Waveform(self.samples.mean(axis=0, keepdims=True, dtype=np.float32), self.sample_rate)

    def scaled(self, gain: float) -> "Waveform":
        """Every sample times `gain` (linear)."""
        return Waveform((self.samples * np.float32(gain)).astype(np.float32, copy=False), self.sample_rate)
