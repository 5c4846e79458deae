"""X-Codec (Ye et al., "Codec Does Matter", 2024): structure as codes of a codec that hears meaning too."""

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.codes import check_codes
from audiobuff_core.codecs.feature_windows import encode_windows
from audiobuff_core.codecs.file_hash import checked_hash
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.hub_folder import check_config
from audiobuff_core.codecs.loaded import kept_while_unchanged
from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.codecs.snake import replace_snakes
from audiobuff_core.codecs.weights import find_weights
from audiobuff_core.errors import EncoderUnavailable, InvalidAudio, InvalidCheckpoint

WINDOW_SECONDS: Final = 20
OVERLAP_SECONDS: Final = 2


class XCodecNetwork(Protocol):
    """What an X-Codec offers, whichever package it comes from; codes are int64 [frames, codebooks]."""

    @property
    def identity(self) -> EncoderIdentity: ...  # noqa: D102
    @property
    def sample_rate(self) -> int: ...  # noqa: D102
    @property
    def hop_length(self) -> int: ...  # noqa: D102
    @property
    def feature_dim(self) -> int: ...  # noqa: D102
    @property
    def codebook_size(self) -> int: ...  # noqa: D102

    def codes_of_audio(self, samples: Tensor) -> Tensor:
        """Codes of `samples` [frames * hop_length]."""
        ...

    def features_of_codes(self, codes: Tensor) -> Tensor:
        """Features [frames, feature_dim] of codes: `quantizer.decode`."""
        ...

    def codes_of_features(self, features: Tensor) -> Tensor:
        """The codes that stand for features [frames, feature_dim], as near as the quantiser finds them."""
        ...


class XCodec:
    """Quantised features of X-Codec, [1, frames, 1024] at 50 Hz; frame `i` belongs to the middle of its hop.

    The channels are mixed to mono. Recordings longer than 20 s are heard in windows that overlap by 2 s, as the
    network hears a stretch as a whole.
    """

    def __init__(self, network: XCodecNetwork) -> None:
        self._network = network
        self.sample_rate, self.feature_dim = network.sample_rate, network.feature_dim
        self.frame_rate = Fraction(network.sample_rate, network.hop_length)
        # A sum of codebook entries does not always lead back to its codes, so they are remembered with the features.
        self._codes: Any = WeakTensorKeyDictionary()

    @property
    def identity(self) -> EncoderIdentity:
        """Name, revision, and the hash of the weights."""
        return self._network.identity

    def encode(self, waveform: Waveform) -> FrameSequence:
        """Features [1, ceil(seconds * 50), feature_dim] of `waveform`."""
        codes = self.encode_codes(waveform)
        start = Fraction(self._network.hop_length, 2 * self.sample_rate)
        return FrameSequence(self._features(codes[None]), self.frame_rate, start=start)

    @torch.no_grad()
    def encode_codes(self, waveform: Waveform) -> Tensor:
        """Codes [frames, codebooks], int64, of `waveform`."""
        samples = torch.from_numpy(resample(waveform.mono(), self.sample_rate).samples[0])
        hop = self._network.hop_length
        num_frames = -(-samples.shape[0] // hop)
        return encode_windows(
            self._codes_of_window,
            torch.nn.functional.pad(samples, (0, num_frames * hop - samples.shape[0])),
            num_frames=num_frames,
            hop_length=hop,
            window_frames=round(WINDOW_SECONDS * self.frame_rate),
            overlap_frames=round(OVERLAP_SECONDS * self.frame_rate),
        )

    def _codes_of_window(self, samples: Tensor) -> Tensor:
        codes = self._network.codes_of_audio(samples)
        expected = samples.shape[0] // self._network.hop_length
        if codes.ndim != 2 or codes.shape[0] != expected:
            raise InvalidCheckpoint(
                f"{self.identity.name} made codes of shape {list(codes.shape)} of {samples.shape[0]} samples: "
                f"expected {expected} frames; its hop is not what it says"
            )
        return codes

    @torch.no_grad()
    def _features(self, codes: Tensor) -> Tensor:
        """The features of codes [..., codebooks], which are remembered with them."""
        rows = self._network.features_of_codes(codes.reshape(-1, codes.shape[-1]))
        features = rows.reshape(*codes.shape[:-1], -1).to("cpu", torch.float32)
        self._codes[features] = codes
        return features

    @torch.no_grad()
    def to_stored(self, values: Tensor) -> NDArray[np.generic]:
        """Features [..., feature_dim] as codes [..., codebooks], the smallest unsigned integers that hold them.

        Raises:
            InvalidAudio: `values` came from elsewhere and are not those of any codes.
        """
        codes = self._codes.get(values)
        if codes is None:
            rows = values.reshape(-1, values.shape[-1])
            codes = self._network.codes_of_features(rows)
            error = float((self._network.features_of_codes(codes) - rows).abs().max())
            if error > 1e-3 * float(rows.abs().max()):
                raise InvalidAudio(
                    f"Features that are {error:.3g} from the nearest codes of {self.identity.name}: expected what it "
                    "encoded; store the features of one recording as `encode` gave them"
                )
            codes = codes.reshape(*values.shape[:-1], -1)
        stored: NDArray[np.generic] = codes.numpy().astype(np.min_scalar_type(self._network.codebook_size - 1))
        return stored

    def from_stored(self, stored: NDArray[np.generic]) -> Tensor:
        """The float32 features of what `to_stored` gave.

        Raises:
            InvalidAudio: a code that the codebooks don't have.
        """
        codes = torch.from_numpy(stored.astype(np.int64))
        check_codes(codes, self._network.codebook_size, self.identity.name)
        return self._features(codes)


class TransformersXCodec:
    """`transformers.XcodecModel` as an `XCodecNetwork`."""

    def __init__(self, model: Any, weights_hash: str, *, device: str = "cpu") -> None:  # noqa: ANN401
        """Fold the weight norm of `model`, make it lean, and put it on `device`."""
        for layer in model.modules():
            if nn.utils.parametrize.is_parametrized(layer, "weight"):
                nn.utils.parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        replace_snakes(model)
        self._device = torch.device(device)
        self._model = model.eval().requires_grad_(False).to(self._device)
        self.identity = EncoderIdentity("xcodec", "2", weights_hash)
        self.sample_rate, self.hop_length = int(model.config.sample_rate), int(model.config.hop_length)
        self.feature_dim, self.codebook_size = int(model.config.codebook_dim), int(model.config.codebook_size)
        self._entries = torch.stack([stage.codebook.embed for stage in self._model.quantizer.quantizers])

    def codes_of_audio(self, samples: Tensor) -> Tensor:
        """Codes of `samples` [frames * hop_length]."""
        codes: Tensor = self._model.encode(samples[None, None].to(self._device), return_dict=False)
        return codes[0].T.cpu()

    def features_of_codes(self, codes: Tensor) -> Tensor:
        """What `quantizer.decode(codes)` gives, to the bit, several times as fast."""
        return sum_of_entries(self._entries, codes.to(self._device)).cpu()

    def codes_of_features(self, features: Tensor) -> Tensor:
        """What the residual quantiser makes of `features`."""
        codes: Tensor = self._model.quantizer.encode(features.T[None].to(self._device))
        return codes[:, 0].T.cpu()


def sum_of_entries(entries: Tensor, codes: Tensor) -> Tensor:
    """[frames, dim]: the entries [codebooks, size, dim] that codes [frames, at most codebooks] name, added up."""
    first_rows = torch.arange(codes.shape[1], device=codes.device) * entries.shape[1]
    return torch.nn.functional.embedding_bag(codes + first_rows, entries.flatten(0, 1), mode="sum")


def load_xcodec(location: str | None = None) -> XCodec:
    """X-Codec by transformers; `location` names other weights: a folder as on the hub, an id or a URL.

    Raises:
        EncoderUnavailable: no weights, or no transformers.
        InvalidCheckpoint: weights that are not whole.
    """
    return XCodec(_network(find_weights("xcodec", location)))


@kept_while_unchanged
def _network(folder: Path) -> TransformersXCodec:
    return TransformersXCodec(_read(folder), checked_hash(folder / "model.safetensors"))


def _read(folder: Path) -> Any:  # noqa: ANN401
    try:
        from transformers import XcodecModel
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise EncoderUnavailable(
            f"X-Codec needs the package transformers, which can't be imported ({error}): pip install 'transformers>=5'"
        ) from error
    from safetensors import SafetensorError

    quiet: Any = disable_progress_bar  # untyped
    quiet()  # the weights are on this disk: its bar would only break into ours
    kind: Any = XcodecModel
    check_config(folder, "model_type", "xcodec", name="X-Codec", fetch="xcodec")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its attention and norms warn of what torch will change
            model, report = kind.from_pretrained(
                str(folder), dtype=torch.float32, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        shown = " ".join(str(error).split())[:200]
        raise InvalidCheckpoint(
            f"{folder} is no whole X-Codec ({shown}): expected config.json and model.safetensors as on the hub; "
            "name another folder, or fetch it anew with `audiobuff fetch-weights xcodec`"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise InvalidCheckpoint(
            f"{folder} lacks {len(missing)} weights of an X-Codec, {missing[0]} first: name another folder, or "
            "fetch it anew with `audiobuff fetch-weights xcodec`"
        )
    return model
