"""Clips of tracks that no training ever sees, damaged one kind at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiobuff_core.audio.loudness import level_gain
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.data.damage import CODE_VERSION as DAMAGE_VERSION
from audiobuff_core.data.ingest import PristineTrack, load_pristine
from audiobuff_core.data.step_folder import StepFolder
from audiobuff_core.degradation.plan import PlanRow, draw_row, recipe_names
from audiobuff_core.errors import DataMissing, InvalidConfig
from audiobuff_core.files import join
from audiobuff_core.progress import track
from audiobuff_core.seeding import digest

# Raise it when the same tracks and options would give other clips.
CODE_VERSION = "1"

MAIN_KIND = "seed"
# `demo` is the training mixture of these kinds, not a kind of its own.
EVALUATION_KINDS: tuple[str, ...] = tuple(name for name in recipe_names() if name != "demo")
# Places where a clip may begin: fine enough not to miss the loud part, coarse enough to be cheap.
GRID_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class EvaluationItem:
    """One clip.

    Attributes:
        track_id: whose; one clip a track.
        audio_hash: of the whole clean track.
        clean_path: of the clean clip, 32-bit float WAV.
        degraded_path: of the damaged one, the same rate and samples.
        row: what was done to it.
        gain: `level_gain` of the damaged clip: what the network's input is scaled by.
        start_seconds: where in the track the clip begins.
        duration_seconds: how long it is.
    """

    track_id: str
    audio_hash: str
    clean_path: str
    degraded_path: str
    row: PlanRow
    gain: float
    start_seconds: float
    duration_seconds: float

    @property
    def content_digest(self) -> str:
        """Digest of all that decides both clips: equal for equal clips, wherever they lie."""
        return digest(DAMAGE_VERSION, self.audio_hash, self.row.as_dict(), self.start_seconds, self.duration_seconds)


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """The clips of one kind of damage; `digest` is that of what decides their every bit."""

    kind: str
    digest: str
    path: str
    items: tuple[EvaluationItem, ...]


def damage_held_out(
    root: str,
    kind: str,
    *,
    shards: Sequence[str],
    seed: int = 1337,
    clip_seconds: float = 4.0,
    max_clips: int = 8,
) -> EvaluationSet:
    """Cut the loudest `clip_seconds` of held-out tracks and damage them by the recipe `kind`.

    The kind `seed` takes every held-out track. The others take at most `max_clips`, chosen by seed, kind and content,
    so that a new track displaces at most one. Tracks that are shorter than a clip are used whole; the same sound in
    two shards is used once.

    Raises:
        InvalidConfig: an unknown kind, or clips of no length or number.
        DataMissing: a shard was not ingested, or none of its tracks is held out.
    """
    if kind not in EVALUATION_KINDS or clip_seconds <= 0 or max_clips < 1:
        raise InvalidConfig(
            f"{max_clips} clips of {clip_seconds} s of kind {kind!r}: expected at least 1, more than 0 s, "
            f"and a kind of {', '.join(EVALUATION_KINDS)}"
        )
    chosen = _choose(root, kind, shards, seed, max_clips)
    rows = {one.track_id: draw_row(one.track_id, one.audio_hash, recipe=kind, seed=seed, variant=0) for one in chosen}
    wanted: dict[str, str] = {}
    for track_id, row in rows.items():
        item_key = digest(CODE_VERSION, DAMAGE_VERSION, row.as_dict(), clip_seconds)
        wanted |= {_clean_name(track_id): item_key, _degraded_name(track_id): item_key}
    inputs = digest(CODE_VERSION, kind, wanted)
    folder = StepFolder(_folder(root, kind))
    manifest = folder.sealed(inputs)
    if manifest is None:
        folder.begin(wanted)
        with folder.noting():
            for one in track(chosen, f"Damaging held-out: {kind}"):
                if _degraded_name(one.track_id) not in folder.items or _clean_name(one.track_id) not in folder.items:
                    _damage(folder, one, rows[one.track_id], clip_seconds, wanted)
        manifest = folder.seal(inputs, {"kind": kind, "seed": seed, "clip_seconds": clip_seconds})
    return _set_of(folder.path, manifest)


def load_held_out(root: str, kind: str) -> EvaluationSet:
    """The clips that `damage_held_out` left.

    Raises:
        DataMissing: there are none, or some of their files are gone.
    """
    folder = StepFolder(_folder(root, kind))
    manifest = folder.load(f"held-out clips of kind {kind!r}", "materialise evaluation/degraded for this kind")
    return _set_of(folder.path, manifest)


def _choose(root: str, kind: str, shards: Sequence[str], seed: int, max_clips: int) -> list[PristineTrack]:
    by_hash = {
        one.audio_hash: one
        for shard in sorted(set(shards), reverse=True)
        for one in load_pristine(root, shard).tracks
        if one.split == "held_out"
    }
    if not by_hash:
        raise DataMissing(
            f"No held-out track among {len(shards)} shards at {root}: expected about a quarter of the recordings; "
            "add more recordings"
        )
    found = sorted(by_hash.values(), key=lambda one: digest("held out", seed, kind, one.audio_hash))
    limit = len(found) if kind == MAIN_KIND else max_clips
    return sorted(found[:limit], key=lambda one: one.track_id)


def _damage(folder: StepFolder, one: PristineTrack, row: PlanRow, clip_seconds: float, wanted: dict[str, str]) -> None:
    """Write both clips of a track; the damaged one, which the manifest describes, last."""
    from audiobuff_core.audio.read import read_audio
    from audiobuff_core.audio.write import write_audio
    from audiobuff_core.degradation.render import render

    start_seconds, clean = loudest_clip(read_audio(one.path), clip_seconds)
    degraded = render(row, clean)
    clean_name, degraded_name = _clean_name(one.track_id), _degraded_name(one.track_id)
    write_audio(join(folder.path, clean_name), clean)
    folder.finish(clean_name, {"key": wanted[clean_name]})
    write_audio(join(folder.path, degraded_name), degraded)
    facts = {
        "track_id": one.track_id,
        "audio_hash": one.audio_hash,
        "row": row.as_dict(),
        "gain": level_gain(degraded),
        "start_seconds": start_seconds,
        "duration_seconds": clean.duration_seconds,
    }
    folder.finish(degraded_name, {"key": wanted[degraded_name], **facts})


def loudest_clip(waveform: Waveform, clip_seconds: float) -> tuple[float, Waveform]:
    """Start in seconds and samples of the `clip_seconds` with the most energy; all of a shorter waveform.

    The loudest part is never the silence around a sound, in which no metric has a meaning.
    """
    num_samples = min(waveform.num_samples, max(1, round(clip_seconds * waveform.sample_rate)))
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform.samples, dtype=np.float64).sum(axis=0))])
    step = max(1, round(GRID_SECONDS * waveform.sample_rate))
    starts = np.arange(0, waveform.num_samples - num_samples + 1, step)
    start = int(starts[np.argmax(energy[starts + num_samples] - energy[starts])])
    cut = np.ascontiguousarray(waveform.samples[:, start : start + num_samples])
    return start / waveform.sample_rate, Waveform(cut, waveform.sample_rate)


def _set_of(path: str, manifest: dict[str, Any]) -> EvaluationSet:
    items = []
    for name, facts in sorted(manifest["items"].items()):
        if "track_id" not in facts:  # a clean clip, which its damaged one describes
            continue
        values = {field: value for field, value in facts.items() if field not in ("key", "row")}
        clean_path = join(path, _clean_name(facts["track_id"]))
        row = PlanRow.from_dict(facts["row"])
        items.append(EvaluationItem(clean_path=clean_path, degraded_path=join(path, name), row=row, **values))
    content = digest(CODE_VERSION, manifest["kind"], [(item.track_id, item.content_digest) for item in items])
    return EvaluationSet(manifest["kind"], content, path, tuple(items))


def _folder(root: str, kind: str) -> str:
    return join(root, "evaluation", "degraded", kind)


def _clean_name(track_id: str) -> str:
    return f"{track_id}.clean.wav"


def _degraded_name(track_id: str) -> str:
    return f"{track_id}.degraded.wav"
