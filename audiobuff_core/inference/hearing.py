"""Audio to what a network is given, and what it gives to audio."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from audiobuff_core.audio.resample import resample, resample_like
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.protocols import Codec, FeatureEncoder
from audiobuff_core.codecs.registry import load_codec, load_feature_encoder
from audiobuff_core.data.dataset import Stretch
from audiobuff_core.errors import StoreMismatch
from audiobuff_core.inference.windows import Conditions
from audiobuff_core.models.model import Standardisers

# A codec of at least this rate hears all that matters: what lies above its band is left as it was, and not cut off.
WHOLE_BAND_RATE = 32_000


class Hearing:
    """The encoders of a model.

    Attributes:
        codec: of the target latents.
        standardisers: one for each stream.
    """

    def __init__(
        self, meta: Mapping[str, Any], standardisers: Standardisers, encoders: Mapping[str, str] | None = None
    ) -> None:
        """Load the encoders that `meta` names, or those of `encoders` (codec, structure, semantic) instead.

        Raises:
            StoreMismatch: an encoder here is not the one of the training.
        """
        names = {**meta["encoders"], **(encoders or {})}
        self.codec: Codec = load_codec(names["codec"])
        self.structure: FeatureEncoder = load_feature_encoder("structure", names["structure"])
        self.semantic: FeatureEncoder = load_feature_encoder("semantic", names["semantic"])
        self.standardisers = standardisers
        for stream, encoder in (("target", self.codec), ("structure", self.structure), ("semantic", self.semantic)):
            if encoder.identity.as_dict() != meta["identities"][stream]:
                raise StoreMismatch(
                    f"The {stream} encoder here is {encoder.identity.as_dict()}, the model was trained with "
                    f"{meta['identities'][stream]}: install that one or train anew"
                )

    def conditions(self, levelled: Waveform, tau: float) -> tuple[FrameSequence, Conditions]:
        """The latents of `levelled` and all that the network is given; both hold the same values, standardised."""
        latents = self.codec.encode(levelled)
        conditions = Conditions(
            damaged=self.standardisers["target"].to_standard(latents.values),
            frame_rate=float(latents.rate),
            structure=self._side("structure", self.structure.encode(levelled), latents.start),
            semantic=self._side("semantic", self.semantic.encode(levelled), latents.start),
            tau=tau,
        )
        return replace(latents, values=conditions.damaged), conditions

    def _side(self, stream: str, frames: FrameSequence, begin: Fraction) -> Stretch:
        """A whole stream; as in training, its clock starts at `begin`, the moment of the first latent frame."""
        values = self.standardisers[stream].to_standard(frames.values[0])
        return Stretch(values[frames.mask], frames.times()[frames.mask] - float(begin))

    def to_audio(self, latents: FrameSequence, like: Waveform, gain: float) -> Waveform:
        """`latents`, not standardised, of `like` times `gain`, as audio of its rate, length and level."""
        # Rounding up keeps the last samples when the rate comes back down.
        num_samples = -(-like.num_samples * self.codec.sample_rate // like.sample_rate)
        decoded = resample_like(self.codec.decode(latents, num_samples), like).scaled(1 / gain)
        if self.codec.sample_rate == like.sample_rate or self.codec.sample_rate < WHOLE_BAND_RATE:
            return decoded
        heard = resample_like(resample(like, self.codec.sample_rate), like)
        return Waveform(like.samples + (decoded.samples - heard.samples), like.sample_rate)
