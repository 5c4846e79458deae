"""Audio in, repaired audio out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from audiobuff_core.audio.loudness import level_gain
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.protocols import Codec, FeatureEncoder
from audiobuff_core.codecs.registry import load_codec, load_feature_encoder
from audiobuff_core.data.dataset import Stretch
from audiobuff_core.errors import InvalidConfig, StoreMismatch
from audiobuff_core.flow.guidance import Guidance
from audiobuff_core.flow.solver import SolverMethod
from audiobuff_core.inference.opened import OpenedModel, open_model
from audiobuff_core.inference.trajectory import flow_to_data
from audiobuff_core.inference.windows import Conditions, WindowedField
from audiobuff_core.models.precision import Precision
from audiobuff_core.models.schema import LoadedModel
from audiobuff_core.seeding import torch_generator


class Restorer:
    """A trained network with the encoders it was trained on.

    Attributes:
        codec: of the target latents.
        identity: facts for a report: `checkpoint_sha256`, `encoders`, `snapshot_digest`, `profile`, `parameters`.
    """

    def __init__(
        self, loaded: LoadedModel | OpenedModel, *, device: str = "cpu", precision: Precision = "auto"
    ) -> None:
        """Load the encoders that `loaded` names.

        Raises:
            StoreMismatch: an encoder here is not the one of the training.
        """
        self.device, self.precision = torch.device(device), precision
        self.model = loaded.model.to(self.device)
        self.standardisers, self.meta = loaded.standardisers, loaded.meta
        names = loaded.meta["encoders"]
        self.codec: Codec = load_codec(names["codec"])
        self.structure: FeatureEncoder = load_feature_encoder("structure", names["structure"])
        self.semantic: FeatureEncoder = load_feature_encoder("semantic", names["semantic"])
        for stream, encoder in (("target", self.codec), ("structure", self.structure), ("semantic", self.semantic)):
            if encoder.identity.as_dict() != loaded.meta["identities"][stream]:
                raise StoreMismatch(
                    f"The {stream} encoder here is {encoder.identity.as_dict()}, the model was trained with "
                    f"{loaded.meta['identities'][stream]}: install that one or train anew"
                )
        self.identity: dict[str, Any] = {
            "checkpoint_sha256": loaded.content_hash,
            "encoders": loaded.meta["identities"],
            "snapshot_digest": loaded.meta["snapshot_digest"],
            "profile": loaded.meta["profile"],
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
        }

    @classmethod
    def load(cls, place: str, *, device: str = "cpu", precision: Precision = "auto") -> "Restorer":
        """The restorer of an export folder or a `.pt` checkpoint file (its averaged weights), ours or the original's.

        Raises:
            AudioBuffError: as `open_model`.
        """
        return cls(open_model(place), device=device, precision=precision)

    def restore(
        self,
        waveform: Waveform,
        *,
        steps: int | None = None,
        tau: float | None = None,
        cfg: float = 1.0,
        method: SolverMethod = "euler",
        seed: int = 1337,
        window_frames: int | None = None,
        overlap_frames: int | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> Waveform:
        """`waveform` as the network hears it undamaged: the same rate, channels and number of samples.

        Nothing of the input is copied into the output.

        Args:
            waveform: the damaged recording.
            steps: solver steps; None takes the number the model recommends. 1 is its prediction, more refine it.
            tau: how much may be invented (noise in the source), 0 to 1; None takes the model's own.
            cfg: guidance scale of the side streams, neutral at 1.
            method: euler, midpoint or heun.
            seed: of the noise, drawn once for the whole track and shared by its channels.
            window_frames: latent frames that the network sees at once; None takes those of its training.
            overlap_frames: that neighbouring windows share, less than `window_frames`; None takes a quarter.
            on_step: called with the number of finished solver steps.

        Raises:
            InvalidConfig: an option out of its range.
        """
        steps = self.meta["inference"]["steps"] if steps is None else steps
        tau = self.meta["inference"]["tau"] if tau is None else tau
        if steps < 1 or not 0 <= tau <= 1:
            raise InvalidConfig(f"{steps} steps, tau {tau}: expected at least 1 step and tau from 0 to 1")
        window = self.meta["inference"]["window_frames"] if window_frames is None else window_frames
        overlap = window // 4 if overlap_frames is None else overlap_frames
        if window < 4 or not 0 <= overlap < window:
            raise InvalidConfig(f"Windows of {window} frames, {overlap} shared: expected at least 4, and fewer shared")
        gain = level_gain(waveform)
        levelled = waveform.scaled(gain)
        latents = self.codec.encode(levelled)
        conditions = self._conditions(levelled, latents, tau)
        field = WindowedField(
            self.model,
            conditions,
            window_frames=window,
            overlap_frames=overlap,
            precision=self.precision,
            device=self.device,
        )
        damaged = conditions.damaged
        noise = torch.randn(damaged.shape[1:], generator=torch_generator("restore", seed)).expand_as(damaged)
        x_1 = flow_to_data(
            field, self.meta["source"], noise, steps=steps, guidance=Guidance(scale=cfg), method=method, on_step=on_step
        )
        restored = replace(latents, values=self.standardisers["target"].from_standard(x_1))
        return self._to_audio(restored, waveform, gain)

    def _conditions(self, levelled: Waveform, latents: FrameSequence, tau: float) -> Conditions:
        return Conditions(
            damaged=self.standardisers["target"].to_standard(latents.values),
            frame_rate=float(latents.rate),
            structure=self._side("structure", self.structure.encode(levelled)),
            semantic=self._side("semantic", self.semantic.encode(levelled)),
            tau=tau,
        )

    def _side(self, stream: str, frames: FrameSequence) -> Stretch:
        values = self.standardisers[stream].to_standard(frames.values[0])
        return Stretch(values[frames.mask], frames.times()[frames.mask])

    def _to_audio(self, latents: FrameSequence, like: Waveform, gain: float) -> Waveform:
        # Rounding up keeps the last samples when the rate comes back down.
        num_samples = -(-like.num_samples * self.codec.sample_rate // like.sample_rate)
        decoded = resample(self.codec.decode(latents, num_samples), like.sample_rate).samples[:, : like.num_samples]
        missing = like.num_samples - decoded.shape[1]
        if missing:
            decoded = torch.nn.functional.pad(torch.from_numpy(decoded), (0, missing)).numpy()
        return Waveform(decoded, like.sample_rate).scaled(1 / gain)
