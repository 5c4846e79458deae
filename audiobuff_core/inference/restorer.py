"""Audio in, repaired audio out."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypedDict, Unpack, overload

import numpy as np
import torch

from audiobuff_core.audio.loudness import gain_of_rms
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.protocols import Codec, FeatureEncoder
from audiobuff_core.codecs.registry import load_codec, load_feature_encoder
from audiobuff_core.data.dataset import Stretch
from audiobuff_core.errors import InvalidConfig, StoreMismatch
from audiobuff_core.flow.guidance import Guidance
from audiobuff_core.flow.solver import SolverMethod
from audiobuff_core.inference.arrays import Array, as_waveform
from audiobuff_core.inference.opened import OpenedModel, open_model
from audiobuff_core.inference.sections import Read, Section, joined, noise_at, plan_sections
from audiobuff_core.inference.trajectory import flow_to_data
from audiobuff_core.inference.windows import Conditions, WindowedField
from audiobuff_core.models.precision import Precision
from audiobuff_core.models.schema import LoadedModel

LEVEL_STRETCH_SAMPLES = 1 << 22


class Options(TypedDict, total=False):
    """What `Restorer.restore` and `Restorer.stream` may be told by keyword; each has a default.

    Attributes:
        steps: solver steps; None, the default, takes the number the model recommends. 1 is its prediction, more
            refine it.
        tau: how much may be invented (noise in the source), 0 to 1; None takes the model's own.
        cfg: guidance scale of both side streams, neutral at 1.
        cfg_structure: of the structure stream alone, beyond `cfg`; neutral at 1.
        cfg_semantic: of the semantic stream alone, beyond `cfg`; neutral at 1.
        method: euler, midpoint or heun.
        seed: of the noise, drawn once for the whole track and shared by its channels.
        strength: 0 to 1: how far to go from the damaged latents to the restored ones.
        window_frames: latent frames that the network sees at once; None takes those of its training.
        overlap_frames: that neighbouring windows share, less than `window_frames`; None takes a quarter.
        on_progress: called now and then with the share that is done, 0 to 1.
    """

    steps: int | None
    tau: float | None
    cfg: float
    cfg_structure: float
    cfg_semantic: float
    method: SolverMethod
    seed: int
    strength: float
    window_frames: int | None
    overlap_frames: int | None
    on_progress: Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """`Options` with every default settled."""

    steps: int
    tau: float
    guidance: Guidance
    method: SolverMethod
    seed: int
    strength: float
    window_frames: int
    overlap_frames: int
    on_progress: Callable[[float], None]


class Restorer:
    """A trained network with the encoders it was trained on.

    Attributes:
        codec: of the target latents.
        identity: facts for a report: `checkpoint_sha256`, `encoders`, `snapshot_digest`, `profile`, `parameters`.
    """

    def __init__(
        self,
        loaded: LoadedModel | OpenedModel,
        *,
        device: str = "cpu",
        precision: Precision = "auto",
        encoders: Mapping[str, str] | None = None,
    ) -> None:
        """Load the encoders that `loaded` names, or those of `encoders` (codec, structure, semantic) instead.

        Wherever they come from, they must be the very ones of the training.

        Raises:
            StoreMismatch: an encoder here is not the one of the training.
        """
        self.device, self.precision = torch.device(device), precision
        self.model = loaded.model.to(self.device)
        self.standardisers, self.meta = loaded.standardisers, loaded.meta
        names = {**loaded.meta["encoders"], **(encoders or {})}
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

    @overload
    def restore(self, audio: Waveform, sample_rate: None = None, **options: Unpack[Options]) -> Waveform: ...

    @overload
    def restore(self, audio: Array, sample_rate: int, **options: Unpack[Options]) -> Array: ...

    def restore(self, audio: Any, sample_rate: int | None = None, **options: Unpack[Options]) -> Any:
        """`audio` as the network hears it undamaged: the same rate, channels and number of samples, kind and shape.

        Nothing of the input is copied into the output, unless `strength` is below 1.

        Args:
            audio: the damaged recording: NumPy or torch, floating point, full scale +-1, shape [samples] or
                [channels, samples]; or a `Waveform`.
            sample_rate: of `audio`, in Hz; a `Waveform` knows its own.
            **options: see `Options`.

        Raises:
            InvalidAudio: an impossible shape, type or rate, or samples that are not finite.
            InvalidConfig: an option out of its range.
        """
        waveform, back = as_waveform(audio, sample_rate)
        restored = np.empty_like(waveform.samples)
        done = 0
        pieces = self.stream(
            lambda first, last: waveform.samples[:, first:last], waveform.num_samples, waveform.sample_rate, **options
        )
        for piece in pieces:
            restored[:, done : done + piece.shape[1]] = piece
            done += piece.shape[1]
        return back(restored)

    def stream(self, read: Read, num_samples: int, sample_rate: int, **options: Unpack[Options]) -> Iterator[Samples]:
        """The restored recording piece by piece, in memory that does not depend on its length.

        Args:
            read: gives samples [first, last) of the recording as float32 [channels, last - first]. It is asked for
                all of them once, to know the level, and then always further on than what was yielded.
            num_samples: in each channel.
            sample_rate: in Hz.
            **options: see `Options`.

        Yields:
            Successive float32 [channels, samples], `num_samples` together.

        Raises:
            InvalidAudio: samples that are not finite.
            InvalidConfig: an option out of its range.
        """
        chosen = self._checked(options)
        sections = plan_sections(num_samples, sample_rate, self.codec)
        gain = _level_gain(read, num_samples)
        yield from joined(self._restored_sections(sections, read, sample_rate, gain, chosen), sample_rate)

    def _restored_sections(
        self, sections: list[Section], read: Read, sample_rate: int, gain: float, chosen: "_Chosen"
    ) -> Iterator[tuple[Section, Samples]]:
        waiting = read(sections[0].first, sections[0].last).copy()
        for index, section in enumerate(sections):
            excerpt = Waveform(waiting, sample_rate)
            if index + 1 < len(sections):  # read before anything is yielded: the reader may be overwritten by it
                waiting = read(sections[index + 1].first, sections[index + 1].last).copy()

            def on_step(step: int, index: int = index) -> None:
                chosen.on_progress((index + step / chosen.steps) / len(sections))

            wet = self._section(excerpt, gain, section.first_frame, chosen, on_step)
            chosen.on_progress((index + 1) / len(sections))
            yield section, wet.samples[:, section.keep_first - section.first : section.keep_last - section.first]

    def _checked(self, options: Options) -> "_Chosen":
        recommended = self.meta["inference"]
        steps, tau = options.get("steps"), options.get("tau")
        window, overlap = options.get("window_frames"), options.get("overlap_frames")
        window = recommended["window_frames"] if window is None else window
        chosen = _Chosen(
            steps=recommended["steps"] if steps is None else steps,
            tau=recommended["tau"] if tau is None else tau,
            guidance=Guidance(
                scale=options.get("cfg", 1.0),
                structure=options.get("cfg_structure", 1.0),
                semantic=options.get("cfg_semantic", 1.0),
            ),
            method=options.get("method", "euler"),
            seed=options.get("seed", 1337),
            strength=options.get("strength", 1.0),
            window_frames=window,
            overlap_frames=window // 4 if overlap is None else overlap,
            on_progress=options.get("on_progress", lambda share: None),
        )
        if chosen.steps < 1 or not 0 <= chosen.tau <= 1 or not 0 <= chosen.strength <= 1:
            raise InvalidConfig(
                f"{chosen.steps} steps, tau {chosen.tau}, strength {chosen.strength}: expected at least 1 step, and "
                "tau and strength from 0 to 1"
            )
        if window < 4 or not 0 <= chosen.overlap_frames < window:
            raise InvalidConfig(
                f"Windows of {window} frames, {chosen.overlap_frames} shared: expected at least 4, and fewer shared"
            )
        return chosen

    def _section(
        self, waveform: Waveform, gain: float, first_frame: int, chosen: "_Chosen", on_step: Callable[[int], None]
    ) -> Waveform:
        levelled = waveform.scaled(gain)
        latents = self.codec.encode(levelled)
        conditions = self._conditions(levelled, latents, chosen.tau)
        field = WindowedField(
            self.model,
            conditions,
            window_frames=chosen.window_frames,
            overlap_frames=chosen.overlap_frames,
            precision=self.precision,
            device=self.device,
        )
        damaged = conditions.damaged
        noise = noise_at(first_frame, latents.num_frames, latents.dim, chosen.seed).expand_as(damaged)
        x_1 = flow_to_data(
            field,
            self.meta["source"],
            noise,
            steps=chosen.steps,
            guidance=chosen.guidance,
            method=chosen.method,
            on_step=on_step,
        )
        mixed = x_1 if chosen.strength == 1 else damaged + chosen.strength * (x_1 - damaged)
        restored = replace(latents, values=self.standardisers["target"].from_standard(mixed))
        return self._to_audio(restored, waveform, gain)

    def _conditions(self, levelled: Waveform, latents: FrameSequence, tau: float) -> Conditions:
        return Conditions(
            damaged=self.standardisers["target"].to_standard(latents.values),
            frame_rate=float(latents.rate),
            structure=self._side("structure", self.structure.encode(levelled), latents.start),
            semantic=self._side("semantic", self.semantic.encode(levelled), latents.start),
            tau=tau,
        )

    def _side(self, stream: str, frames: FrameSequence, begin: Fraction) -> Stretch:
        """A whole stream; as in training, its clock starts at `begin`, the moment of the first latent frame."""
        values = self.standardisers[stream].to_standard(frames.values[0])
        return Stretch(values[frames.mask], frames.times()[frames.mask] - float(begin))

    def _to_audio(self, latents: FrameSequence, like: Waveform, gain: float) -> Waveform:
        # Rounding up keeps the last samples when the rate comes back down.
        num_samples = -(-like.num_samples * self.codec.sample_rate // like.sample_rate)
        decoded = resample(self.codec.decode(latents, num_samples), like.sample_rate).samples[:, : like.num_samples]
        missing = like.num_samples - decoded.shape[1]
        if missing:
            decoded = torch.nn.functional.pad(torch.from_numpy(decoded), (0, missing)).numpy()
        return Waveform(decoded, like.sample_rate).scaled(1 / gain)


def _level_gain(read: Read, num_samples: int) -> float:
    """`level_gain` of the whole recording, read in stretches."""
    total, count = 0.0, 0
    for first in range(0, num_samples, LEVEL_STRETCH_SAMPLES):
        stretch = read(first, min(num_samples, first + LEVEL_STRETCH_SAMPLES))
        total += float(np.square(stretch, dtype=np.float64).sum())
        count += stretch.size
    return gain_of_rms(math.sqrt(total / max(1, count)))
