"""The library of recordings: what there is, in which shard, and on which side of the split."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import fsspec

from audiobuff_core.data.copies import Fingerprints, find_copies, fingerprints_of, load_fingerprints, save_fingerprints
from audiobuff_core.data.seen import PassedOver, find_audio, hash_files, look_through, note_passed_over
from audiobuff_core.errors import AudioNotFound, DataMissing, InvalidConfig
from audiobuff_core.files import exists, join, printable, read_json, write_json
from audiobuff_core.seeding import digest

__all__ = [
    "IncomingTrack",
    "Shard",
    "find_audio",
    "find_track",
    "list_shards",
    "load_shard",
    "named_copies",
    "new_track",
    "register_new",
    "register_shards",
    "split_of",
    "write_shard",
]

Split = Literal["train", "validation", "held_out"]

HELD_OUT_SHARE = 0.25
VALIDATION_SHARE = 0.08
# Changing it moves tracks between training and evaluation: every model and figure made before would be void.
SPLIT_SALT = "split-0"


@dataclass(frozen=True, slots=True)
class IncomingTrack:
    """A recording as it was found.

    Attributes:
        track_id: unique and fit for a file name: `<name of the file>-<8 hex of its hash>`.
        source: absolute path or fsspec URL.
        file_hash: SHA-256 of the file's bytes, hexadecimal.
        copy_of: the earlier track that sounds the same, on whose side of the split this one must stand; None: new.
    """

    track_id: str
    source: str
    file_hash: str
    copy_of: str | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """Some tracks that every step handles together; `key` is `<yyyymmdd>-<8 hex of what is in it>`."""

    key: str
    tracks: tuple[IncomingTrack, ...]


def register_shards(
    root: str,
    folder: str,
    *,
    tracks_per_shard: int = 32,
    date: str,
    max_files: int | None = None,
    max_new: int | None = None,
) -> list[Shard]:
    """Write a manifest under `root`/incoming for each shard of the recordings in `folder` that are new, by content.

    A known recording that was moved keeps its shard, with its new place. `date` is `yyyymmdd` or `yyyy-mm-dd`.
    `max_files` looks at the first so many recordings by path, `max_new` leaves all but the first so many new ones by
    name for the next call; None: all.
    Equal files in equal order give equal shards wherever the folder lies. A new recording that sounds like another
    names it (`copy_of`), so that both stand on one side of the split. What can't be read, and files with the very
    bytes of another, are noted for `passed_over`.

    Returns:
        The new shards only, of nearly equal size, at most `tracks_per_shard` each.

    Raises:
        AudioNotFound: no such folder, or no audio in it that can be read.
        InvalidConfig: a date or shard size that makes no sense.
    """
    sources, passed = look_through(folder)
    if not sources and not passed:
        raise AudioNotFound(
            f"No audio in {printable(folder)}: expected files such as .wav, .flac or .mp3; choose another folder"
        )
    hashes, unreadable = hash_files(root, sources[:max_files]) if sources else ({}, [])
    passed += unreadable
    if not hashes:
        raise AudioNotFound(
            f"No audio in {printable(folder)} that can be read, such as {passed[0].source}: {passed[0].reason}"
        )
    return register_new(root, hashes, passed, tracks_per_shard=tracks_per_shard, date=date, max_new=max_new)


def register_new(
    root: str,
    hashes: Mapping[str, str],
    passed: list[PassedOver],
    *,
    tracks_per_shard: int,
    date: str,
    max_new: int | None = None,
) -> list[Shard]:
    """`register_shards` of files whose `hashes` (by place) are known; `passed` are those passed over so far.

    Raises:
        InvalidConfig: a date or shard size that makes no sense.
    """
    day = date.replace("-", "")
    if not re.fullmatch(r"\d{8}", day) or tracks_per_shard < 1:
        raise InvalidConfig(f"Shards of {tracks_per_shard} tracks dated {date!r}: expected >= 1 and yyyymmdd")
    found: dict[str, str] = {}
    passed = list(passed)
    for source, file_hash in hashes.items():
        if file_hash in found:
            passed.append(PassedOver(source, f"the same bytes as {found[file_hash]}"))
        else:
            found[file_hash] = source
    note_passed_over(root, passed)
    known = _refresh_moved(root, found)
    new = [new_track(source, key) for key, source in found.items() if key not in known]
    new.sort(key=lambda incoming: (Path(incoming.source).name, incoming.file_hash))
    return _write_shards(root, day, tracks_per_shard, new[:max_new]) if new else []


def _write_shards(root: str, day: str, tracks_per_shard: int, new: list[IncomingTrack]) -> list[Shard]:
    """Shards of `new`, which is in order, with their fingerprints; the manifests come last."""
    new, fingerprints = named_copies(root, new)
    num_shards = -(-len(new) // tracks_per_shard)
    shards = []
    for index in range(num_shards):
        first_track, last_track = (len(new) * edge // num_shards for edge in (index, index + 1))
        tracks = tuple(new[first_track:last_track])
        content = digest([(incoming.track_id, incoming.file_hash) for incoming in tracks])
        shards.append(Shard(f"{day}-{content[:8]}", tracks))
    for shard in shards:
        kept = {one.track_id: fingerprints[one.track_id] for one in shard.tracks if one.track_id in fingerprints}
        save_fingerprints(root, shard.key, kept)
        write_shard(root, shard)
    return shards


def named_copies(root: str, new: list[IncomingTrack]) -> tuple[list[IncomingTrack], Fingerprints]:
    """`new` in the same order, each naming the track that it is a copy of, and their fingerprints."""
    fingerprints = fingerprints_of({one.track_id: one.source for one in new})
    copies = find_copies({**load_fingerprints(root), **fingerprints}, [one.track_id for one in new])
    originals = {one.track_id: one.copy_of for key in list_shards(root) for one in load_shard(root, key).tracks}
    named = []
    for one in new:
        first = copies.get(one.track_id)
        if first is not None:  # a copy of a copy is one of the first
            originals[one.track_id] = originals.get(first) or first
            one = replace(one, copy_of=originals[one.track_id])
        named.append(one)
    return named, fingerprints


def new_track(source: str, file_hash: str) -> IncomingTrack:
    """The recording at `source`, whose bytes have the SHA-256 `file_hash`."""
    return IncomingTrack(_track_id(source, file_hash), source, file_hash)


def _track_id(source: str, file_hash: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", Path(source).stem.lower()).strip("_")[:40]
    return f"{name or 'track'}-{file_hash[:8]}"


def _refresh_moved(root: str, found: dict[str, str]) -> set[str]:
    """The file hashes that `root` knows; manifests whose files were moved are written again."""
    known: set[str] = set()
    for key in list_shards(root):
        shard = load_shard(root, key)
        tracks = []
        for incoming in shard.tracks:
            known.add(incoming.file_hash)
            moved_to = found.get(incoming.file_hash)
            moved = moved_to is not None and moved_to != incoming.source and not exists(incoming.source)
            source = moved_to if moved and moved_to is not None else incoming.source
            tracks.append(replace(incoming, source=source))
        if tuple(tracks) != shard.tracks:
            write_shard(root, Shard(key, tuple(tracks)))
    return known


def write_shard(root: str, shard: Shard) -> None:
    """Write the manifest of `shard`."""
    tracks = [asdict(incoming) for incoming in shard.tracks]
    write_json(join(root, "incoming", f"{shard.key}.json"), {"shard": shard.key, "tracks": tracks})


def list_shards(root: str) -> list[str]:
    """Keys of the shards registered under `root`, sorted; none where nothing was registered."""
    filesystem, folder = fsspec.core.url_to_fs(join(root, "incoming"))
    if not filesystem.isdir(folder):
        return []
    names = [Path(path).name for path in filesystem.ls(folder, detail=False)]
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json") and not name.startswith("."))


def load_shard(root: str, key: str) -> Shard:
    """The shard registered under `key`.

    Raises:
        DataMissing: there is none.
    """
    path = join(root, "incoming", f"{key}.json")
    if not exists(path):
        known = ", ".join(list_shards(root)) or "none"
        raise DataMissing(f"No shard {key!r} at {root} (registered: {known}): register the folder of recordings first")
    manifest = read_json(path)
    return Shard(manifest["shard"], tuple(IncomingTrack(**row) for row in manifest["tracks"]))


def find_track(root: str, track_id: str) -> tuple[str, IncomingTrack]:
    """The key of the shard that has the track called `track_id`, and that track.

    Raises:
        DataMissing: no shard has it.
    """
    for key in list_shards(root):
        for incoming in load_shard(root, key).tracks:
            if incoming.track_id == track_id:
                return key, incoming
    raise DataMissing(f"No shard at {root} has the track {track_id!r}: register the folder of recordings again")


def split_of(audio_hash: str) -> Split:
    """On which side of the split a recording stands, by its content alone: about 25 % held out, 8 % validation."""
    position = int(digest(SPLIT_SALT, audio_hash)[:12], 16) / 16**12
    if position < HELD_OUT_SHARE:
        return "held_out"
    return "validation" if position < HELD_OUT_SHARE + VALIDATION_SHARE else "train"
