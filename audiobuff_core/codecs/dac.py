"""DAC, the Descript audio codec (Kumar et al., "High-Fidelity Audio Compression with Improved RVQGAN", 2023)."""

from fractions import Fraction
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.chunking import FRAMES_A_CHUNK, decode_chunked, encode_chunked, output_length, reach
from audiobuff_core.codecs.codes import check_codes
from audiobuff_core.codecs.dac_network import DacNetwork, load_dac_network
from audiobuff_core.codecs.dac_space import DacSpace
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.level import loudness_gains
from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.codecs.weights import find_weights
from audiobuff_core.errors import InvalidAudio, InvalidCheckpoint

TARGET_LUFS: Final = -16.0

LatentSpace = Literal["factorized", "summed"]


class DacCodec:
    """DAC's quantised latents, of either package's network; frame `k` belongs to the middle of its hop.

    Each channel is encoded for itself, at -16 LUFS; `decode` undoes that gain, and gives the nearest codebook
    entries of `factorized` latents to the decoder. `summed` latents go there as they are.

    Args:
        network: the weights.
        space: `factorized`, the codebook entries side by side (72 numbers at 44.1 kHz), or `summed`, their projections
            added up (1024 numbers, the decoder's input).
        device: where it runs.
        chunk_frames: frames computed at a time; bounds the memory and changes nothing else.
    """

    def __init__(
        self,
        network: DacNetwork,
        *,
        space: LatentSpace = "factorized",
        device: str = "cpu",
        chunk_frames: int = FRAMES_A_CHUNK,
    ) -> None:
        self.space: LatentSpace = space
        self.sample_rate, self.hop_length = network.sample_rate, network.hop_length
        self.frame_rate = Fraction(self.sample_rate, self.hop_length)
        self.geometry = DacSpace(network.model.quantizer)
        self.latent_dim = self.geometry.factorized_dim if space == "factorized" else self.geometry.summed_dim
        self._device, self._chunk_frames = torch.device(device), chunk_frames
        self._model = network.model.to(self._device)
        self._weights_hash = network.weights_hash
        self._encoder_context = -(-reach(self._model.encoder) // self.hop_length)
        self._decoder_context = reach(self._model.decoder)
        # An odd stride makes the decoder some samples short: its frames must then cover that much more.
        self._shortfall = 64 * self.hop_length - output_length(self._model.decoder, 64)
        self._stored_type = np.min_scalar_type(self.geometry.codebook_size - 1)

    @property
    def identity(self) -> EncoderIdentity:
        """Name with rate and latent space, revision, and the hash of the weights' file."""
        return EncoderIdentity(f"dac-{self.sample_rate // 1000}khz-{self.space}", "1", self._weights_hash)

    def num_frames(self, num_samples: int) -> int:
        """Frames that decode to at least `num_samples`."""
        return -(-(num_samples + self._shortfall) // self.hop_length)

    def encode(self, waveform: Waveform) -> FrameSequence:
        """Latents [channels, frames, latent_dim] of `waveform`, brought to the codec's rate and -16 LUFS first."""
        at_rate = resample(waveform, self.sample_rate)
        return self.encode_at(at_rate, loudness_gains(at_rate, TARGET_LUFS))

    def encode_at(self, waveform: Waveform, gains: Tensor) -> FrameSequence:
        """Latents of `waveform` with each channel times its gain [channels] instead of at -16 LUFS."""
        codes = self.encode_codes(waveform, gains)
        values = self.from_codes(codes)
        start = Fraction(self.hop_length, 2 * self.sample_rate)
        return FrameSequence(values, self.frame_rate, start=start, gains=gains)

    @torch.no_grad()
    def encode_codes(self, waveform: Waveform, gains: Tensor) -> Tensor:
        """Codes [channels, frames, codebooks], int64, of `waveform` times `gains` [channels]."""
        samples = torch.from_numpy(resample(waveform, self.sample_rate).samples)
        # One sample more, as a count that comes from another rate may have been rounded up.
        behind = self.num_frames(samples.shape[1] + 1) * self.hop_length - samples.shape[1]
        padded = torch.nn.functional.pad(samples, (0, behind)).mul_(gains[:, None])[:, None].to(self._device)
        codes = encode_chunked(
            self._codes_of,
            padded,
            hop_length=self.hop_length,
            context_frames=self._encoder_context,
            chunk_frames=self._chunk_frames,
        )
        return codes.transpose(1, 2).cpu()

    def _codes_of(self, samples: Tensor) -> Tensor:
        """[rows, codebooks, frames] of samples [rows, 1, frames * hop_length]."""
        codes: Tensor = self._model.quantizer(self._model.encoder(samples))[1]
        return codes

    @torch.no_grad()
    def decode(self, frames: FrameSequence, num_samples: int) -> Waveform:
        """Audio at the codec's rate, exactly `num_samples` long, at the level that was encoded.

        Raises:
            InvalidAudio: the frames don't cover `num_samples`, are of another width, or hold NaN.
        """
        if frames.dim != self.latent_dim:
            raise InvalidAudio(f"Latents of width {frames.dim}: {self.identity.name} decodes {self.latent_dim}")
        needed = self.num_frames(num_samples)
        if num_samples < 1 or frames.num_frames < needed:
            raise InvalidAudio(
                f"{frames.num_frames} latent frames for {num_samples} samples: expected at least one sample and "
                f"{needed} frames; decode fewer samples or encode the whole track"
            )
        values = frames.values.detach().to("cpu", torch.float32)
        if not values.isfinite().all():  # the nearest entry to NaN would be some entry
            raise InvalidAudio(f"Latents with NaN or infinite values: {self.identity.name} decodes finite ones")
        samples = decode_chunked(
            self._samples_of,
            values.transpose(1, 2),
            hop_length=self.hop_length,
            context_frames=self._decoder_context,
            chunk_frames=self._chunk_frames,
        )[:, 0, :num_samples]
        level = samples if frames.gains is None else samples / frames.gains[:, None]
        return Waveform(level.contiguous().numpy(), self.sample_rate)

    def _samples_of(self, latents: Tensor) -> Tensor:
        """[rows, 1, samples] of latents [rows, latent_dim, frames]."""
        if self.space == "factorized":
            snapped = self.geometry.snap(latents.transpose(1, 2))
            latents = self.geometry.to_summed(snapped).transpose(1, 2)
        samples: Tensor = self._model.decoder(latents.to(self._device))
        return samples.cpu()

    def to_codes(self, values: Tensor) -> Tensor:
        """The nearest codes [..., codebooks], int64, of latents [..., latent_dim]."""
        factorized = values if self.space == "factorized" else self.geometry.to_factorized(values)
        return self.geometry.to_codes(factorized)

    def from_codes(self, codes: Tensor) -> Tensor:
        """The latents [..., latent_dim] of codes [..., codebooks].

        Raises:
            InvalidAudio: another number of codebooks, or a code that they don't have.
        """
        if codes.shape[-1] != self.geometry.num_codebooks:
            raise InvalidAudio(
                f"Codes of {codes.shape[-1]} codebooks: {self.identity.name} has {self.geometry.num_codebooks}"
            )
        check_codes(codes, self.geometry.codebook_size, self.identity.name)
        factorized = self.geometry.from_codes(codes)
        return factorized if self.space == "factorized" else self.geometry.to_summed(factorized)

    def snap(self, values: Tensor) -> Tensor:
        """The nearest latents [..., latent_dim] that codes can stand for."""
        return self.from_codes(self.to_codes(values))

    def dims_below(self, hz: float) -> None:
        """None: every dimension of these latents stands for all frequencies."""
        return

    def to_stored(self, values: Tensor) -> NDArray[np.generic]:
        """Latents [..., latent_dim] as codes [..., codebooks], the smallest unsigned integers that hold them."""
        return self.to_codes(values.detach().to("cpu", torch.float32)).numpy().astype(self._stored_type)

    def from_stored(self, stored: NDArray[np.generic]) -> Tensor:
        """The float32 latents [..., latent_dim] of what `to_stored` gave."""
        return self.from_codes(torch.from_numpy(stored.astype(np.int64)))


def _load(
    name: str, location: str | None, space: LatentSpace = "factorized", *, sample_rate: int | None = None
) -> DacCodec:
    codec = DacCodec(load_dac_network(find_weights(name, location)), space=space)
    if sample_rate not in (None, codec.sample_rate):
        raise InvalidCheckpoint(
            f"The weights of {name}{f' at {location}' if location else ''} are of a DAC at {codec.sample_rate} Hz: "
            f"expected {sample_rate} Hz; give others, or name them as --codec dac:PLACE, which takes any rate"
        )
    return codec


def load_dac(location: str | None = None) -> DacCodec:
    """DAC at 44.1 kHz; `location` names other weights, of any rate: a .pth, a folder, an id or a URL.

    Raises:
        EncoderUnavailable: no weights, or no package.
        InvalidCheckpoint: weights that are not whole, or, of those below, of another rate.
    """
    return _load("dac", location)


def load_dac_summed(location: str | None = None) -> DacCodec:
    """As `load_dac`, with the 1024-d latents of the original."""
    return _load("dac", location, "summed")


def load_dac_24khz(location: str | None = None) -> DacCodec:
    """DAC at 24 kHz."""
    return _load("dac-24khz", location, sample_rate=24_000)


def load_dac_16khz(location: str | None = None) -> DacCodec:
    """DAC at 16 kHz."""
    return _load("dac-16khz", location, sample_rate=16_000)


def load_dac_24khz_summed(location: str | None = None) -> DacCodec:
    """DAC at 24 kHz with the 1024-d latents of the original."""
    return _load("dac-24khz", location, "summed", sample_rate=24_000)


def load_dac_16khz_summed(location: str | None = None) -> DacCodec:
    """DAC at 16 kHz with the 1024-d latents of the original."""
    return _load("dac-16khz", location, "summed", sample_rate=16_000)
