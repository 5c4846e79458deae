"""AudioMAE (Huang et al., "Masked Autoencoders that Listen", 2022): what a sound is, 6.25 times a second."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.fbank import FRAME_SAMPLES, NUM_MELS, SAMPLE_RATE, SHIFT_SAMPLES, kaldi_fbank
from audiobuff_core.codecs.feature_windows import encode_windows
from audiobuff_core.codecs.file_hash import checked_hash
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.hub_folder import check_config
from audiobuff_core.codecs.loaded import kept_while_unchanged
from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.codecs.weights import find_weights
from audiobuff_core.errors import EncoderUnavailable, InvalidCheckpoint

WINDOW_MELS: Final = 1024  # 10.24 s: the picture that the network was trained on
PATCH: Final = 16
TOKENS_A_WINDOW: Final = WINDOW_MELS // PATCH
OVERLAP_TOKENS: Final = 16
HOP_SAMPLES: Final = PATCH * SHIFT_SAMPLES
MEAN: Final = -4.2677393
STD: Final = 4.5689974


class AudioMae:
    """Patches of a mel spectrogram, averaged over frequency: [1, frames, 768] at 6.25 Hz.

    The channels are mixed to mono at 16 kHz. Recordings longer than 10.24 s are heard in windows that overlap by
    2.56 s; frame `i` belongs to the middle of its 16 mel frames.
    """

    sample_rate: Final = SAMPLE_RATE
    frame_rate: Final = Fraction(SAMPLE_RATE, HOP_SAMPLES)

    def __init__(self, model: Any, weights_hash: str, *, device: str = "cpu") -> None:  # noqa: ANN401
        """Take a timm vision transformer for pictures of 1024 x 128 with patches of 16 x 16 and one prefix token."""
        self._device = torch.device(device)
        self._model = model.eval().requires_grad_(False).to(self._device)
        self._weights_hash = weights_hash
        self.feature_dim = int(model.num_features)

    @property
    def identity(self) -> EncoderIdentity:
        """Name, revision, and the hash of the weights' file."""
        return EncoderIdentity("audiomae", "1", self._weights_hash)

    def encode(self, waveform: Waveform) -> FrameSequence:
        """Features [1, ceil(seconds * 6.25), feature_dim] of `waveform`."""
        samples = torch.from_numpy(resample(waveform.mono(), SAMPLE_RATE).samples[0])
        num_frames = -(-samples.shape[0] // HOP_SAMPLES)
        values = encode_windows(
            self._tokens,
            samples,
            num_frames=num_frames,
            hop_length=HOP_SAMPLES,
            window_frames=TOKENS_A_WINDOW,
            overlap_frames=OVERLAP_TOKENS,
        )
        middle = Fraction((WINDOW_MELS // TOKENS_A_WINDOW - 1) * SHIFT_SAMPLES + FRAME_SAMPLES, 2 * SAMPLE_RATE)
        return FrameSequence(values[None], self.frame_rate, start=middle)

    @torch.no_grad()
    def _tokens(self, samples: Tensor) -> Tensor:
        """[64, feature_dim] of at most 10.24 s."""
        mels = self.picture(samples)[None, None].to(self._device)
        tokens: Tensor = self._model.forward_features(mels)[0, self._model.num_prefix_tokens :]
        return tokens.reshape(TOKENS_A_WINDOW, NUM_MELS // PATCH, -1).mean(1).cpu()

    @staticmethod
    def picture(samples: Tensor) -> Tensor:
        """The normalised log mel picture [1024, 128] of 16 kHz `samples`, mean removed, padded with zeros or cut."""
        mels = kaldi_fbank(samples - samples.mean())[:WINDOW_MELS]
        padded = torch.nn.functional.pad(mels, (0, 0, 0, WINDOW_MELS - mels.shape[0]))
        return (padded - MEAN) / (2 * STD)

    def to_stored(self, values: Tensor) -> NDArray[np.generic]:
        """Features [..., feature_dim] as float16."""
        return values.detach().cpu().numpy().astype(np.float16)

    def from_stored(self, stored: NDArray[np.generic]) -> Tensor:
        """The float32 features of what `to_stored` gave."""
        return torch.from_numpy(stored.astype(np.float32))


def load_audiomae(location: str | None = None) -> AudioMae:
    """AudioMAE by timm; `location` names other weights: a folder as on the hub, an id or a URL.

    Raises:
        EncoderUnavailable: no weights, or no timm.
        InvalidCheckpoint: weights that are not whole, or of a network for other pictures.
    """
    return AudioMae(*_network(find_weights("audiomae", location)))


@kept_while_unchanged
def _network(folder: Path) -> tuple[Any, str]:
    """The network, and the hash of its weights."""
    try:
        import timm
    except ImportError as error:
        raise EncoderUnavailable(
            f"AudioMAE needs the package timm, which can't be imported ({error}): pip install timm"
        ) from error
    from safetensors import SafetensorError

    check_config(folder, "architecture", "vit_", name="AudioMAE by timm", fetch="audiomae")
    try:
        model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0)
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError, json.JSONDecodeError) as error:
        shown = " ".join(str(error).split())[:200]
        raise InvalidCheckpoint(
            f"{folder} is no whole AudioMAE ({shown}): expected config.json and model.safetensors as on the hub; "
            "name another folder, or fetch it anew with `audiobuff fetch-weights audiomae`"
        ) from error
    _check(model, folder)
    return model, checked_hash(folder / "model.safetensors")


def _check(model: Any, folder: Path) -> None:  # noqa: ANN401
    patches = getattr(model, "patch_embed", None)
    sizes = (getattr(patches, "img_size", None), getattr(patches, "patch_size", None))
    if sizes != ((WINDOW_MELS, NUM_MELS), (PATCH, PATCH)):
        raise InvalidCheckpoint(
            f"{folder} has pictures and patches of {sizes[0]} and {sizes[1]}: AudioMAE has "
            f"({WINDOW_MELS}, {NUM_MELS}) and ({PATCH}, {PATCH}); fetch audiomae anew"
        )
