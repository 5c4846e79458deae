"""The embedded codec: needs no weights, loses nothing, and gives a small network something it can learn."""

from fractions import Fraction
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.mdct import inverse_mdct, mdct, num_mdct_frames
from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.errors import InvalidAudio
from audiobuff_core.seeding import digest

COMPANDING_EXPONENT: Final = 0.7


def compand(coefficients: Tensor) -> Tensor:
    """`sign(x) |x|^0.7`: quiet coefficients count more, loud ones less."""
    return coefficients.sign() * coefficients.abs().pow(COMPANDING_EXPONENT)


def expand(latents: Tensor) -> Tensor:
    """The inverse of `compand`; its gradient is finite everywhere."""
    return latents.sign() * latents.abs().pow(1 / COMPANDING_EXPONENT)


class MdctCodec:
    """Companded MDCT coefficients as latents: 512 a frame, 44100 / 512 frames a second.

    Frame `k` belongs to sample `k * 512`, so `start` is 0 and `n` samples need `ceil(n / 512) + 1` frames.
    """

    sample_rate: Final = 44_100
    hop_length: Final = 512
    latent_dim: Final = 512
    frame_rate: Final = Fraction(44_100, 512)

    @property
    def identity(self) -> EncoderIdentity:
        """Name, revision and a hash of the constants that decide the values."""
        constants = digest("mdct", "sine", self.sample_rate, self.hop_length, COMPANDING_EXPONENT)
        return EncoderIdentity("builtin-mdct", "1", constants)

    def encode(self, waveform: Waveform) -> FrameSequence:
        """Latents [channels, ceil(n / 512) + 1, 512] of `waveform`, brought to 44.1 kHz (`n` samples) first."""
        samples = torch.from_numpy(resample(waveform, self.sample_rate).samples)
        # One after the other: what lies in memory meanwhile is many times the result.
        latents = torch.stack([compand(mdct(channel, self.hop_length)) for channel in samples])
        return FrameSequence(latents, self.frame_rate)

    def decode(self, frames: FrameSequence, num_samples: int) -> Waveform:
        """Audio at 44.1 kHz whose sample 0 is the moment of the first frame, exactly `num_samples` long.

        Raises:
            InvalidAudio: the frames don't cover `num_samples`, are of another width, or hold NaN.
        """
        if frames.dim != self.latent_dim:
            raise InvalidAudio(f"Latents of width {frames.dim}: {self.identity.name} decodes {self.latent_dim}")
        needed = num_mdct_frames(num_samples, self.hop_length)
        if num_samples < 1 or frames.num_frames < needed:
            raise InvalidAudio(
                f"{frames.num_frames} latent frames for {num_samples} samples: expected at least one sample and "
                f"{needed} frames; decode fewer samples or encode the whole track"
            )
        coefficients = expand(frames.values[:, :needed].detach().to("cpu", torch.float32))
        return Waveform(inverse_mdct(coefficients, num_samples).numpy(), self.sample_rate)

    def dims_below(self, hz: float) -> NDArray[np.bool_]:
        """[512]: coefficient `k` stands for `k` to `k + 1` times 43.07 Hz."""
        upper_edges_hz = np.arange(1, self.latent_dim + 1) * (self.sample_rate / 2 / self.latent_dim)
        return np.asarray(upper_edges_hz <= hz)

    def to_stored(self, values: Tensor) -> NDArray[np.generic]:
        """Latents [..., 512] as float16."""
        return values.detach().cpu().numpy().astype(np.float16)

    def from_stored(self, stored: NDArray[np.generic]) -> Tensor:
        """The float32 latents [..., 512] of what `to_stored` gave."""
        return torch.from_numpy(stored.astype(np.float32))
