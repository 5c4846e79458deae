"""Held-out clips after a network."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data.step_folder import StepFolder
from audiobuff_core.errors import InvalidAudio
from audiobuff_core.evaluation.held_out import EvaluationItem, load_held_out
from audiobuff_core.files import join
from audiobuff_core.progress import track
from audiobuff_core.seeding import digest

# Raise it when the same clips and network would give other restorations.
CODE_VERSION = "5"


@dataclass(frozen=True, slots=True)
class RestoredItem:
    """One restored clip: `path` of a 32-bit float WAV with the rate and samples of the damaged one."""

    track_id: str
    path: str


@dataclass(frozen=True, slots=True)
class RestoredSet:
    """The clips of one kind after one network.

    Attributes:
        checkpoint_key: which network.
        kind: which damage.
        digest: of the restored samples.
        path: their folder.
        items: in the order of their tracks.
        evaluation_digest: of the damaged clips they were made from.
        identity: what the restorer says of itself: hash of its weights, its encoders.
        steps: solver steps asked for; None for the network's own number.
    """

    checkpoint_key: str
    kind: str
    digest: str
    path: str
    items: tuple[RestoredItem, ...]
    evaluation_digest: str
    identity: Mapping[str, Any]
    steps: int | None


def restore_set(
    root: str,
    checkpoint_key: str,
    kind: str,
    *,
    restore: Callable[[Waveform], Waveform],
    identity: Mapping[str, Any],
    steps: int | None = None,
) -> RestoredSet:
    """Restore the held-out clips of `kind`; clips whose input and network have not changed are kept.

    Args:
        root: of all data.
        checkpoint_key: names the folder.
        kind: of damage.
        restore: the network, with its options: damaged clip to restored clip, the same rate, channels and samples.
        identity: JSON facts that decide what `restore` does; other facts, other restorations.
        steps: solver steps, if `restore` was told any.

    Raises:
        DataMissing: there are no clips of that kind.
        InvalidAudio: `restore` gave another shape or rate, or samples that are not finite.
    """
    clips = load_held_out(root, kind)
    wanted = {_name(item): digest(CODE_VERSION, item.content_digest, dict(identity), steps) for item in clips.items}
    inputs = digest(CODE_VERSION, clips.digest, wanted)
    folder = StepFolder(_folder(root, checkpoint_key, kind))
    manifest = folder.sealed(inputs)
    if manifest is None:
        folder.begin(wanted)
        with folder.noting():
            for item in track(clips.items, f"Restoring held-out: {kind}"):
                name = _name(item)
                if name not in folder.items:
                    restored = _restored(item, restore)
                    write_audio(join(folder.path, name), restored)
                    content = hashlib.sha256(restored.samples.tobytes()).hexdigest()
                    folder.finish(name, {"key": wanted[name], "track_id": item.track_id, "content": content})
        facts = {"evaluation_digest": clips.digest, "identity": dict(identity), "steps": steps}
        manifest = folder.seal(inputs, facts)
    return _set_of(checkpoint_key, kind, folder.path, manifest)


def load_restored(root: str, checkpoint_key: str, kind: str) -> RestoredSet:
    """The clips that `restore_set` left.

    Raises:
        DataMissing: there are none, or some of their files are gone.
    """
    folder = StepFolder(_folder(root, checkpoint_key, kind))
    what = f"restorations of kind {kind!r} by checkpoint {checkpoint_key}"
    manifest = folder.load(what, "materialise evaluation/restorations for them")
    return _set_of(checkpoint_key, kind, folder.path, manifest)


def _restored(item: EvaluationItem, restore: Callable[[Waveform], Waveform]) -> Waveform:
    damaged = read_audio(item.degraded_path)
    restored = restore(damaged)
    if restored.samples.shape != damaged.samples.shape or restored.sample_rate != damaged.sample_rate:
        raise InvalidAudio(
            f"Restored {item.track_id} has shape {restored.samples.shape} at {restored.sample_rate} Hz: expected "
            f"{damaged.samples.shape} at {damaged.sample_rate} Hz, as its input; the restorer is at fault"
        )
    return restored


def _set_of(checkpoint_key: str, kind: str, path: str, manifest: dict[str, Any]) -> RestoredSet:
    found = [(facts["track_id"], name, facts["content"]) for name, facts in manifest["items"].items()]
    found.sort()
    return RestoredSet(
        checkpoint_key=checkpoint_key,
        kind=kind,
        digest=digest(manifest["evaluation_digest"], [(track_id, content) for track_id, _, content in found]),
        path=path,
        items=tuple(RestoredItem(track_id, join(path, name)) for track_id, name, _ in found),
        evaluation_digest=manifest["evaluation_digest"],
        identity=manifest["identity"],
        steps=manifest["steps"],
    )


def _folder(root: str, checkpoint_key: str, kind: str) -> str:
    return join(root, "evaluation", "restorations", checkpoint_key, kind)


def _name(item: EvaluationItem) -> str:
    return f"{item.track_id}.wav"
