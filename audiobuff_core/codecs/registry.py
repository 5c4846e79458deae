"""Encoders by name. A new encoder is one line here; its module is imported when it is asked for."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

from audiobuff_core.errors import EncoderUnavailable

if TYPE_CHECKING:
    from audiobuff_core.codecs.protocols import Codec, FeatureEncoder

SideStream = Literal["structure", "semantic"]

# name -> "module:class", or a function that takes the location of the weights
CODECS: Final = {
    "builtin": "audiobuff_core.codecs.builtin:MdctCodec",
    "dac": "audiobuff_core.codecs.dac:load_dac",
    "dac-summed": "audiobuff_core.codecs.dac:load_dac_summed",
    "dac-24khz": "audiobuff_core.codecs.dac:load_dac_24khz",
    "dac-16khz": "audiobuff_core.codecs.dac:load_dac_16khz",
    "dac-24khz-summed": "audiobuff_core.codecs.dac:load_dac_24khz_summed",
    "dac-16khz-summed": "audiobuff_core.codecs.dac:load_dac_16khz_summed",
}
STRUCTURE_ENCODERS: Final = {
    "builtin": "audiobuff_core.codecs.descriptors:StructureDescriptors",
    "xcodec": "audiobuff_core.codecs.xcodec:load_xcodec",
    "xcodec-module": "audiobuff_core.codecs.xcodec_module:load_xcodec_module",
}
SEMANTIC_ENCODERS: Final = {
    "builtin": "audiobuff_core.codecs.descriptors:SemanticDescriptors",
    "audiomae": "audiobuff_core.codecs.audiomae:load_audiomae",
}
SIDE_STREAMS: Final = {"structure": STRUCTURE_ENCODERS, "semantic": SEMANTIC_ENCODERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderChoice:
    """The three encoders by their short names, as `--codec --structure --semantic` give them."""

    codec: str = "builtin"
    structure: str = "builtin"
    semantic: str = "builtin"

    def as_dict(self) -> dict[str, str]:
        """The fields, for a manifest."""
        return {"codec": self.codec, "structure": self.structure, "semantic": self.semantic}


def load_codec(name: str) -> "Codec":
    """The codec called `name`, ready to encode.

    Raises:
        EncoderUnavailable: no codec has that name.
    """
    codec: Codec = _load("codec", name, CODECS)
    return codec


def load_feature_encoder(stream: SideStream, name: str) -> "FeatureEncoder":
    """The encoder called `name` of a side stream, ready to encode.

    Raises:
        EncoderUnavailable: the stream has no encoder of that name, or there is no such stream.
    """
    if stream not in SIDE_STREAMS:
        raise EncoderUnavailable(f"Side stream {stream!r} is unknown: expected one of {', '.join(SIDE_STREAMS)}")
    encoder: FeatureEncoder = _load(stream, name, SIDE_STREAMS[stream])
    return encoder


def _load(option: str, choice: str, known: dict[str, str]) -> Any:  # noqa: ANN401 - of the protocol the caller names
    """The encoder of `choice`: `name`, or `name:location` with another place of its weights."""
    name, colon, location = choice.partition(":")
    if name not in known:
        raise EncoderUnavailable(
            f"Encoder {name!r} for --{option} is unknown: expected one of {', '.join(sorted(known))}"
        )
    module, _, attribute = known[name].partition(":")
    make = getattr(import_module(module), attribute)
    if not colon:
        return make()
    if not location:
        raise EncoderUnavailable(
            f"Nothing after the colon of {choice!r} for --{option}: expected a path, URL or hub id, or {name!r} alone"
        )
    if isinstance(make, type):
        raise EncoderUnavailable(f"Encoder {name!r} for --{option} has no weights: give its name without {location!r}")
    return make(location)
