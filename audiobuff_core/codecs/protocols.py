"""What a codec and a feature encoder promise; `tests/contracts/` has the suites that hold them to it."""

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform

if TYPE_CHECKING:  # the identities below are read where torch is not loaded
    from torch import Tensor

    from audiobuff_core.codecs.frames import FrameSequence


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """Which encoder made an artefact: name, revision, and a hash of its weights or its code's constants."""

    name: str
    revision: str
    weights_hash: str

    @property
    def key(self) -> str:
        """A path-safe key, such as `builtin-mdct-1-0123abcd`."""
        return f"{self.name}-{self.revision}-{self.weights_hash[:8]}"

    def as_dict(self) -> dict[str, str]:
        """The fields, for a manifest."""
        return asdict(self)


class Codec(Protocol):
    """Audio to latents and back.

    `encode` takes any rate and channel count, resamples for itself, and returns one row of frames a channel.
    `decode(encode(w), w.num_samples at the codec's rate)` has exactly that many samples.
    """

    @property
    def identity(self) -> EncoderIdentity: ...  # noqa: D102
    @property
    def sample_rate(self) -> int: ...  # noqa: D102
    @property
    def hop_length(self) -> int: ...  # noqa: D102
    @property
    def latent_dim(self) -> int: ...  # noqa: D102
    @property
    def frame_rate(self) -> Fraction: ...  # noqa: D102

    def encode(self, waveform: Waveform) -> "FrameSequence":
        """Latents [channels, frames, latent_dim] of `waveform`."""
        ...

    def decode(self, frames: "FrameSequence", num_samples: int) -> Waveform:
        """Audio at the codec's rate, exactly `num_samples` long."""
        ...

    def dims_below(self, hz: float) -> NDArray[np.bool_] | None:
        """Which of the latent's dimensions, [latent_dim], stand for frequencies under `hz` alone.

        None where the latents have no frequency axis: then no part of a loss can be left to the frequencies above.
        """
        ...

    def to_stored(self, values: "Tensor") -> NDArray[np.generic]:
        """Latents [..., latent_dim] as they go to disk: integer codes or float16."""
        ...

    def from_stored(self, stored: NDArray[np.generic]) -> "Tensor":
        """The float32 latents [..., latent_dim] of what `to_stored` gave."""
        ...


class FeatureEncoder(Protocol):
    """Audio to a side stream of features; mixes to mono and resamples for itself."""

    @property
    def identity(self) -> EncoderIdentity: ...  # noqa: D102
    @property
    def sample_rate(self) -> int: ...  # noqa: D102
    @property
    def feature_dim(self) -> int: ...  # noqa: D102
    @property
    def frame_rate(self) -> Fraction: ...  # noqa: D102

    def encode(self, waveform: Waveform) -> "FrameSequence":
        """Features [1, frames, feature_dim] of `waveform`."""
        ...

    def to_stored(self, values: "Tensor") -> NDArray[np.generic]:
        """Features [..., feature_dim] as they go to disk."""
        ...

    def from_stored(self, stored: NDArray[np.generic]) -> "Tensor":
        """The float32 features of what `to_stored` gave."""
        ...
