"""Proof that nothing that is measured was trained on: by the content of recordings, and by how they sound."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from audiobuff_core.audio.fingerprint import HOP_SAMPLES, LISTENED_SECONDS, RATE, Fingerprint, fingerprint
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.data.copies import Fingerprints, find_alike, read_fingerprints, write_fingerprints
from audiobuff_core.data.pristine import load_pristine
from audiobuff_core.data.snapshot import load_snapshot, snapshot_paths
from audiobuff_core.errors import DataMissing
from audiobuff_core.evaluation.held_out import EVALUATION_KINDS, load_held_out
from audiobuff_core.files import exists, join
from audiobuff_core.progress import track

# A clip begins anywhere between two frames of the track that it may be a copy of.
PHASES = 4
STEP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What was compared, and what was found.

    Attributes:
        num_snapshots: training snapshots, all that ever were.
        num_trained: recordings in them, for training or validation.
        num_evaluated: recordings that clips are measured of.
        by_content: evaluated tracks whose very samples are among those trained on.
        by_sound: evaluated track to the trained one that it sounds like.
        gone: trained tracks whose audio is no longer there to be listened to.
    """

    num_snapshots: int
    num_trained: int
    num_evaluated: int
    by_content: tuple[str, ...]
    by_sound: Mapping[str, str]
    gone: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found and there was something to compare."""
        return not self.by_content and not self.by_sound and self.num_snapshots > 0 and self.num_evaluated > 0


def find_leaks(root: str) -> LeakReport:
    """Compare the clips of all kinds with every track of every snapshot, training and validation.

    By content: the hashes of their samples. By sound: fingerprints of whole trained tracks, half a minute at a time,
    and of each clip at several phases, so that a clip is found anywhere in a track, in another format or at another
    level. Fingerprints are kept by shard.

    Raises:
        DataMissing: no clips were made.
    """
    snapshots = [load_snapshot(path) for path in snapshot_paths(root)]
    trained = {item.audio_hash: item.track_id for snapshot in snapshots for item in snapshot.items}
    shards = sorted({shard for snapshot in snapshots for shard in snapshot.shards})
    clips = _clips(root)
    by_content = sorted({name for name, (audio_hash, _) in clips.items() if audio_hash in trained})
    known, gone = _of_trained(root, shards, trained)
    heard = {
        f"{name}\n{phase}": one
        for name, (_, path) in clips.items()
        for phase, one in enumerate(_phases(read_audio(path)))
    }
    alike = find_alike(known, heard)
    by_sound = {name.split("\n")[0]: other.split("\n")[0] for name, other in alike.items()}
    return LeakReport(len(snapshots), len(trained), len(clips), tuple(by_content), by_sound, gone)


def _clips(root: str) -> dict[str, tuple[str, str]]:
    """Evaluated track to its hash and the clean clip; the same clip of several kinds is one."""
    made = [kind for kind in EVALUATION_KINDS if exists(join(root, "evaluation", "degraded", kind, "manifest.json"))]
    items = [item for kind in made for item in load_held_out(root, kind).items]
    if not items:
        raise DataMissing(f"No clips to measure lie at {root}: materialise evaluation/degraded")
    return {item.track_id: (item.audio_hash, item.clean_path) for item in items}


def _of_trained(root: str, shards: list[str], trained: Mapping[str, str]) -> tuple[Fingerprints, tuple[str, ...]]:
    """Fingerprints of every piece of the trained tracks, by track and piece, and the tracks that are gone."""
    known: Fingerprints = {}
    there = set()
    for shard in track(shards, "Listening to what was trained on"):
        tracks = [one for one in load_pristine(root, shard).tracks if one.audio_hash in trained]
        there |= {one.audio_hash for one in tracks}
        place = join(root, "evaluation", "fingerprints", f"{shard}.npz")
        kept = read_fingerprints(place) if exists(place) else {}
        found: Fingerprints = {}
        for one in tracks:
            mark = f"{one.track_id}\n{one.audio_hash}\n"
            of_track = {name: heard for name, heard in kept.items() if name.startswith(mark)}
            found |= of_track or {f"{mark}{piece}": heard for piece, heard in enumerate(_pieces(one.path))}
        if found.keys() != kept.keys():
            write_fingerprints(place, found)
        known |= found
    return known, tuple(sorted(name for audio_hash, name in trained.items() if audio_hash not in there))


def _pieces(path: str) -> Iterator[Fingerprint]:
    """Of half minutes that overlap, so that a clip of up to ten seconds is whole in one of them."""
    waveform = read_audio(path)
    length, step = (round(seconds * waveform.sample_rate) for seconds in (LISTENED_SECONDS, STEP_SECONDS))
    for start in range(0, max(1, waveform.num_samples - (length - step)), step):
        piece = np.ascontiguousarray(waveform.samples[:, start : start + length])
        yield fingerprint(Waveform(piece, waveform.sample_rate))


def _phases(clip: Waveform) -> Iterator[Fingerprint]:
    """Of the clip, and of the clip without a quarter, half and three quarters of a frame's step."""
    for phase in range(PHASES):
        start = round(phase / PHASES * HOP_SAMPLES / RATE * clip.sample_rate)
        if start < clip.num_samples:
            yield fingerprint(Waveform(np.ascontiguousarray(clip.samples[:, start:]), clip.sample_rate))
