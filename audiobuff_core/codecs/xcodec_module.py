"""X-Codec from a module that the user installed, such as one from a git URL.

The contract. The module is called `xcodec` and has

    load_model(location: str | None) -> model

where `location` is what follows `xcodec-module:` on the command line, None if nothing does. The model has

    sample_rate, hop_length, codebook_size      integers
    encode(audio)                               float32 [1, 1, frames * hop_length] -> integers [codebooks, 1, frames]
    quantizer.decode(codes)                     integers [codebooks, 1, frames] -> float32 [1, feature_dim, frames]
    quantizer.encode(features)                  float32 [1, feature_dim, frames] -> integers [codebooks, 1, frames]
    state_dict()                                its weights, which name its latents

It is deterministic in inference, and makes exactly one frame a hop. `decode` gives the features.
"""

import hashlib
from importlib import import_module, metadata
from typing import Any, Final

import torch
from torch import Tensor

from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.codecs.xcodec import WINDOW_SECONDS, XCodec
from audiobuff_core.errors import EncoderUnavailable, InvalidCheckpoint

MODULE: Final = "xcodec"
_WANTED: Final = ("sample_rate", "hop_length", "codebook_size", "encode", "quantizer", "state_dict")


class ModuleXCodec:
    """A model that follows the contract above, as an `XCodecNetwork`."""

    def __init__(self, model: Any, revision: str) -> None:  # noqa: ANN401
        """Check that `model` follows the contract.

        Raises:
            InvalidCheckpoint: it does not.
        """
        missing = [name for name in _WANTED if not hasattr(model, name)]
        if missing:
            raise InvalidCheckpoint(
                f"The model of module {MODULE!r} has no {', '.join(missing)}: expected the contract in "
                "audiobuff_core/codecs/xcodec_module.py"
            )
        self._model = model.eval() if hasattr(model, "eval") else model
        # Other windows give other codes, whatever the version of the module.
        revision = f"{revision}-{WINDOW_SECONDS}s"
        self.identity = EncoderIdentity("xcodec-module", revision, _weights_hash(model.state_dict()))
        self.sample_rate, self.hop_length = int(model.sample_rate), int(model.hop_length)
        self.codebook_size = int(model.codebook_size)
        probe = self.codes_of_audio(torch.zeros(4 * self.hop_length))
        self.feature_dim = int(self.features_of_codes(probe).shape[1])

    @torch.no_grad()
    def codes_of_audio(self, samples: Tensor) -> Tensor:
        """Codes of `samples` [frames * hop_length]."""
        codes: Tensor = self._model.encode(samples[None, None])
        if codes.ndim != 3 or codes.shape[1] != 1 or codes.is_floating_point():
            raise InvalidCheckpoint(
                f"encode of module {MODULE!r} gave {codes.dtype} {list(codes.shape)}: expected integer codes "
                "[codebooks, 1, frames]"
            )
        return codes[:, 0].T.long().cpu()

    @torch.no_grad()
    def features_of_codes(self, codes: Tensor) -> Tensor:
        """`quantizer.decode(codes)`."""
        features: Tensor = self._model.quantizer.decode(codes.T[:, None])
        return features[0].T.float().cpu()

    @torch.no_grad()
    def codes_of_features(self, features: Tensor) -> Tensor:
        """`quantizer.encode(features)`."""
        codes: Tensor = self._model.quantizer.encode(features.T[None])
        return codes[:, 0].T.long().cpu()


def load_xcodec_module(location: str | None = None) -> XCodec:
    """The X-Codec of the installed module `xcodec`.

    Raises:
        EncoderUnavailable: no such module, or it has no `load_model`.
        InvalidCheckpoint: its model does not follow the contract.
    """
    try:
        module = import_module(MODULE)
    except ImportError as error:
        raise EncoderUnavailable(
            f"No module {MODULE!r} is installed ({error}): pip install git+URL of one that follows "
            "audiobuff_core/codecs/xcodec_module.py, or choose `xcodec`, which needs none"
        ) from error
    if not hasattr(module, "load_model"):
        raise EncoderUnavailable(
            f"Module {MODULE!r} has no load_model: expected the contract in audiobuff_core/codecs/xcodec_module.py; "
            "choose `xcodec`, or wrap it in a module of that name"
        )
    return XCodec(ModuleXCodec(module.load_model(location), _revision()))


def _revision() -> str:
    try:
        return metadata.version(MODULE).replace("+", ".")
    except metadata.PackageNotFoundError:
        return "0"


def _weights_hash(state: dict[str, Tensor]) -> str:
    hasher = hashlib.sha256()
    for name in sorted(state):
        hasher.update(f"{name}:{list(state[name].shape)}:{state[name].dtype};".encode())
        hasher.update(state[name].detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()
