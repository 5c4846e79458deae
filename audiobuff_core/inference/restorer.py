"""Audio in, repaired audio out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack, overload

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.inference.arrays import Array, as_waveform
from audiobuff_core.inference.blending import hold_still
from audiobuff_core.inference.confidence import Bands, bands_of, doubt_of
from audiobuff_core.inference.guards import DOUBT_SECONDS, leave_intact, without_doubtful, without_trifles
from audiobuff_core.inference.hearing import Hearing
from audiobuff_core.inference.in_the_box import must_be_in_the_box
from audiobuff_core.inference.opened import OpenedModel, open_model
from audiobuff_core.inference.options import Chosen, Options, settled
from audiobuff_core.inference.sections import Read, Section, joined, level_gain_of, noise_at, plan_sections
from audiobuff_core.inference.trajectory import flow_to_data
from audiobuff_core.inference.trust import Proposal, Trust
from audiobuff_core.inference.windows import Conditions, WindowedField
from audiobuff_core.models.schema import LoadedModel
from audiobuff_core.precision import Precision
from audiobuff_core.treatment.protocols import Repair


class Restorer:
    """A trained network with the encoders it was trained on.

    Attributes:
        codec: of the target latents.
        hearing: all encoders.
        trust: how far its corrections are to be trusted; None where nothing beside the weights says so.
        identity: facts for a report: `checkpoint_sha256`, `encoders`, `snapshot_digest`, `profile`, `parameters`, and
            `trust_sha256` where there is trust.
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
        self.hearing = Hearing(loaded.meta, loaded.standardisers, encoders)
        self.codec = self.hearing.codec
        self.bands: Bands = bands_of(self.codec)
        self.trust: Trust | None = getattr(loaded, "trust", None)
        self.identity: dict[str, Any] = {
            "checkpoint_sha256": loaded.content_hash,
            "encoders": loaded.meta["identities"],
            "snapshot_digest": loaded.meta["snapshot_digest"],
            "profile": loaded.meta["profile"],
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
        }
        if self.trust is not None:
            self.identity["trust_sha256"] = self.trust.sha256()

    @classmethod
    def load(cls, place: str | None = None, *, device: str = "cpu", precision: Precision = "auto") -> "Restorer":
        """That of an export or a `.pt` file (its averaged weights), ours or the original's; None: the one in the box.

        Raises:
            AudioBuffError: as `open_model`.
        """
        opened = open_model(must_be_in_the_box() if place is None else place)
        return cls(opened, device=device, precision=precision)

    @overload
    def restore(self, audio: Waveform, sample_rate: None = None, **options: Unpack[Options]) -> Waveform: ...

    @overload
    def restore(self, audio: Array, sample_rate: int, **options: Unpack[Options]) -> Array: ...

    def restore(self, audio: Any, sample_rate: int | None = None, **options: Unpack[Options]) -> Any:
        """`audio` as the network hears it undamaged: the same rate, channels and number of samples, kind and shape.

        Where the network would change less than -40 dB of what is there, the input comes back bit for bit (see
        `guards`), and so does what lies above the band of the codec.

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
                the first, for all of them once, to know the level, and then always further on than what was yielded.
            num_samples: in each channel.
            sample_rate: in Hz.
            **options: see `Options`.

        Yields:
            Successive float32 [channels, samples], `num_samples` together.

        Raises:
            InvalidAudio: samples that are not finite.
            InvalidConfig: an option out of its range.
        """
        chosen = settled(options, self.meta["inference"])
        channels = len(read(0, 1))
        sections = plan_sections(num_samples, sample_rate, self.codec, channels)
        gain = level_gain_of(read, num_samples)
        yield from joined(self._restored_sections(sections, read, sample_rate, gain, chosen), sample_rate)

    def _restored_sections(
        self, sections: list[Section], read: Read, sample_rate: int, gain: float, chosen: Chosen
    ) -> Iterator[tuple[Section, Samples]]:
        begun = read(0, 1).copy()
        for index, section in enumerate(sections):
            rest = section.first + begun.shape[1]
            parts = [begun, read(rest, section.last)] if rest < section.last else [begun]
            excerpt = Waveform(np.concatenate(parts, axis=1), sample_rate)
            if index + 1 < len(sections):  # read before it is yielded: the reader may be overwritten by it
                begun = read(sections[index + 1].first, section.keep_last).copy()

            def on_step(step: int, index: int = index) -> None:
                chosen.on_progress((index + step / chosen.steps) / len(sections))

            kept = slice(section.keep_first - section.first, section.keep_last - section.first)
            # Bound to no name: it would lie in memory while the next section is restored.
            yield section, self._section(excerpt, gain, section, chosen, on_step).samples[:, kept]
            chosen.on_progress((index + 1) / len(sections))

    def _section(
        self, waveform: Waveform, gain: float, section: Section, chosen: Chosen, on_step: Callable[[int], None]
    ) -> Waveform:
        restored, moved = self._latents(waveform, gain, section, chosen, on_step)
        if not moved.any():
            return waveform  # not even the codec's own error
        wet = self.hearing.to_audio(restored, waveform, gain)
        hold_still(wet.samples, waveform.samples, waveform.sample_rate, moved.numpy(), restored.times().numpy())
        if chosen.guarded:
            leave_intact(wet.samples, waveform.samples, waveform.sample_rate)
        return wet

    def _latents(
        self, waveform: Waveform, gain: float, section: Section, chosen: Chosen, on_step: Callable[[int], None]
    ) -> tuple[FrameSequence, Bool[Tensor, "channels frames"]]:
        """Those of a restored section, and which of them were moved; nothing else of them stays in memory."""
        latents, conditions = self.hearing.conditions(waveform.scaled(gain), chosen.tau)
        field = self._field(conditions, chosen)
        damaged = conditions.damaged
        drawn = (section.first_frame, latents.num_frames, latents.dim, chosen.seed)
        noise = (torch.zeros(1) if self.only_estimates(chosen.tau) else noise_at(*drawn)).expand_as(damaged)
        x_1 = flow_to_data(
            field,
            self.meta["source"],
            noise,
            steps=chosen.steps,
            guidance=chosen.guidance,
            method=chosen.method,
            sway=chosen.sway,
            on_step=on_step,
        )
        correction = x_1 - damaged
        if chosen.guarded:
            begin = section.first / waveform.sample_rate
            correction = self._guarded(correction, field, [repair.moved(-begin) for repair in chosen.repairs])
        if chosen.confidence is not None:
            doubt = doubt_of(field, self.meta["source"], noise, x_1)
            seconds = latents.times() + section.first / waveform.sample_rate
            kept = (section.keep_first / waveform.sample_rate, section.keep_last / waveform.sample_rate)
            chosen.confidence.add(self.bands, seconds, kept, correction, doubt, damaged)
        correction.mul_(chosen.strength)
        moved = correction.any(dim=-1)
        return replace(latents, values=self.standardisers["target"].from_standard(correction.add_(damaged))), moved

    def _field(self, conditions: Conditions, chosen: Chosen) -> WindowedField:
        return WindowedField(
            self.model,
            conditions,
            window_frames=chosen.window_frames,
            overlap_frames=chosen.overlap_frames,
            precision=self.precision,
            device=self.device,
        )

    def proposal(self, levelled: Waveform, repairs: Sequence[Repair] = ()) -> Proposal:
        """What the network would change about `levelled`, a short recording at the level of training, if it were free.

        Raises:
            InvalidConfig: it does not know how far off it is.
        """
        if self.meta["source"] != "uncertainty":
            raise InvalidConfig(f"A model of source {self.meta['source']}: expected one of source uncertainty")
        _, conditions = self.hearing.conditions(levelled, 0.0)
        field = self._field(conditions, settled({}, self.meta["inference"]))
        return self._proposal(field.estimate()[0] - conditions.damaged, field, repairs)

    def _proposal(self, correction: Tensor, field: WindowedField, repairs: Sequence[Repair]) -> Proposal:
        conditions = field.conditions
        doubt = field.estimate()[1]
        return Proposal(correction, doubt, conditions.damaged, conditions.frame_rate, self.bands.slices, repairs)

    def _guarded(self, correction: Tensor, field: WindowedField, repairs: Sequence[Repair]) -> Tensor:
        """`correction` without trifles, and without what the network doubts itself unless it is to be trusted."""
        damaged = field.conditions.damaged
        if self.only_estimates(field.conditions.tau):  # with tau, what is in doubt is wanted
            proposal = self._proposal(correction, field, repairs)
            around = round(DOUBT_SECONDS * proposal.frame_rate)
            correction = without_doubtful(proposal.correction, proposal.doubt, proposal.bands, around)
            if self.trust is not None:
                trusted = self.trust.trusted(proposal)
                correction = torch.where(trusted.abs() > correction.abs(), trusted, correction)
        return without_trifles(correction, damaged, self.bands.slices)

    def only_estimates(self, tau: float | None = None) -> bool:
        """Whether nothing is left for the flow at `tau`, None for the model's own: its settings change nothing then."""
        tau = self.meta["inference"]["tau"] if tau is None else tau
        return self.meta["source"] == "uncertainty" and tau == 0
