"""Finding recordings that are copies of others: the same sound in another format, at another level or rate."""

import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.fingerprint import LISTENED_SECONDS, MOST_ERRORS, Fingerprint, error_share, fingerprint
from audiobuff_core.audio.read import read_pieces
from audiobuff_core.errors import AudioNotFound, InvalidAudio
from audiobuff_core.files import join, read_bytes, write_bytes
from audiobuff_core.progress import track

WORKERS = 2
# A copy has many frames of which half the bits are the same, one after the other; strangers have a few, anywhere.
FEWEST_HITS = 3
CANDIDATES = 5

Fingerprints = dict[str, Fingerprint]


def fingerprints_of(sources: Mapping[str, str]) -> Fingerprints:
    """The fingerprints of the recordings `sources` (path or URL by track id); those that can't be read have none."""
    with ThreadPoolExecutor(WORKERS) as pool:
        found = track(pool.map(_fingerprint_at, sources.values()), "Listening for copies", total=len(sources))
        return {track_id: one for track_id, one in zip(sources, found, strict=True) if one is not None}


def _fingerprint_at(source: str) -> Fingerprint | None:
    try:
        pieces = read_pieces(source, longest_seconds=LISTENED_SECONDS, shortest_seconds=0.0)
        return fingerprint(next(pieces))
    except (InvalidAudio, AudioNotFound):
        return None  # ingest says what is wrong with it


def find_copies(fingerprints: Fingerprints, new: Sequence[str]) -> dict[str, str]:
    """Which of the tracks `new` are copies, and of which track: one that is older, or stands before it in `new`.

    Where there are several the most alike. Frames that share half of their bits propose a track and a shift, the
    share of bits that differ there decides.
    """
    names = [name for name in fingerprints if name not in set(new)] + [name for name in new if name in fingerprints]
    if len(names) < 2:
        return {}
    index = _Index([fingerprints[name] for name in names])
    copies: dict[str, str] = {}
    for place, name in enumerate(names):
        if name in set(new):
            alike = [
                (error_share(fingerprints[name], fingerprints[names[other]], offset + near), other)
                for other, offset in index.candidates(fingerprints[name], before=place)
                for near in (-1, 0, 1)
            ]
            share, other = min(alike, default=(1.0, 0))
            if share <= MOST_ERRORS:
                copies[name] = names[other]
    return copies


def find_alike(known: Fingerprints, new: Fingerprints) -> dict[str, str]:
    """Which of `new` sound like one of `known`, and like which, the most alike."""
    if not known or not new:
        return {}
    names = list(known)
    index = _Index(list(known.values()))
    alike: dict[str, str] = {}
    for name, one in new.items():
        share, other = min(
            (
                (error_share(one, known[names[other]], offset + near), other)
                for other, offset in index.candidates(one, before=len(names))
                for near in (-1, 0, 1)
            ),
            default=(1.0, 0),
        )
        if share <= MOST_ERRORS:
            alike[name] = names[other]
    return alike


class _Index:
    """Halves of words, sorted, with the track and the frame that each is from."""

    def __init__(self, fingerprints: Sequence[Fingerprint]) -> None:
        frames = [np.flatnonzero(one.heard) for one in fingerprints]
        halves = [_halves(one, heard) for one, heard in zip(fingerprints, frames, strict=True)]
        keys = np.concatenate(halves, axis=1).ravel()
        tracks = np.repeat(np.arange(len(frames), dtype=np.int32), [len(heard) for heard in frames])
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._tracks = np.tile(tracks, 2)[order]
        self._frames = np.tile(np.concatenate(frames).astype(np.int32), 2)[order]

    def candidates(self, one: Fingerprint, *, before: int) -> Iterator[tuple[int, int]]:
        """Tracks under number `before`, each with the shift at which most of its frames look like those of `one`."""
        heard = np.flatnonzero(one.heard)
        halves = _halves(one, heard).ravel()
        first, last = (np.searchsorted(self._keys, halves, side) for side in ("left", "right"))
        counts = last - first
        hits = np.repeat(first - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(counts.sum())
        offsets = np.repeat(np.tile(heard, 2), counts) - self._frames[hits]
        tracks = self._tracks[hits]
        older = tracks < before
        pairs, num = np.unique(np.stack([tracks[older], offsets[older]]), axis=1, return_counts=True)
        for best in np.argsort(-num, kind="stable")[:CANDIDATES]:
            if num[best] >= FEWEST_HITS:
                yield int(pairs[0, best]), int(pairs[1, best])


def _halves(one: Fingerprint, frames: NDArray[np.intp]) -> NDArray[np.uint32]:
    """[2, frames]: lower and upper halves of the words, told apart by bit 16."""
    words = one.words[frames]
    return np.stack([words & 0xFFFF, (words >> 16) | 0x10000])


def save_fingerprints(root: str, shard: str, fingerprints: Fingerprints) -> None:
    """Keep the fingerprints of a shard's tracks under `root`."""
    write_fingerprints(join(_folder(root), f"{shard}.npz"), fingerprints)


def load_fingerprints(root: str) -> Fingerprints:
    """All that `save_fingerprints` kept under `root`, shard by shard."""
    filesystem, folder = fsspec.core.url_to_fs(_folder(root))
    if not filesystem.isdir(folder):
        return {}
    kept: Fingerprints = {}
    for name in sorted(Path(path).name for path in filesystem.ls(folder, detail=False) if path.endswith(".npz")):
        kept |= read_fingerprints(join(_folder(root), name))
    return kept


def write_fingerprints(place: str, fingerprints: Fingerprints) -> None:
    """Write `fingerprints` into one file."""
    buffer = io.BytesIO()
    names = list(fingerprints)
    np.savez(
        buffer,
        names=np.array(names, dtype=np.str_),
        lengths=np.array([len(fingerprints[name].words) for name in names], dtype=np.int64),
        words=np.concatenate([np.zeros(0, np.uint32), *(fingerprints[name].words for name in names)]),
        heard=np.concatenate([np.zeros(0, np.bool_), *(fingerprints[name].heard for name in names)]),
    )
    write_bytes(place, buffer.getvalue())


def read_fingerprints(place: str) -> Fingerprints:
    """What `write_fingerprints` wrote."""
    with np.load(io.BytesIO(read_bytes(place)), allow_pickle=False) as file:
        ends = np.cumsum(file["lengths"])[:-1]
        parts = zip(np.split(file["words"], ends), np.split(file["heard"], ends), strict=True)
        return {str(one): Fingerprint(*part) for one, part in zip(file["names"], parts, strict=False)}


def _folder(root: str) -> str:
    return join(root, "library", "fingerprints")
