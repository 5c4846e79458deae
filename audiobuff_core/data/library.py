"""The library of recordings: what there is, in which shard, and on which side of the split."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import fsspec

from audiobuff_core.errors import AudioNotFound, DataMissing, InvalidConfig
from audiobuff_core.files import exists, is_local, join, local_path, read_json, write_json
from audiobuff_core.progress import track
from audiobuff_core.seeding import digest

Split = Literal["train", "validation", "held_out"]

AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        "aac", "aif", "aiff", "au", "caf", "flac", "m4a", "mka", "mp2", "mp3", "mp4", "oga", "ogg", "opus", "rf64",
        "w64", "wav", "webm", "wma",
    )
)  # fmt: skip
# Damaged recordings waiting for repair: never material to learn from.
INBOX_NAME = "inbox"
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
    """

    track_id: str
    source: str
    file_hash: str


@dataclass(frozen=True, slots=True)
class Shard:
    """Some tracks that every step handles together; `key` is `<yyyymmdd>-<8 hex of what is in it>`."""

    key: str
    tracks: tuple[IncomingTrack, ...]


def find_audio(folder: str) -> list[str]:
    """Absolute paths or URLs of the files under `folder` with a suffix of audio, sorted.

    Hidden files and folders are passed over, and so are sub-folders named `inbox`.

    Raises:
        AudioNotFound: there is no such folder.
    """
    address = str(local_path(folder).expanduser().resolve()) if is_local(folder) else folder
    filesystem, top = fsspec.core.url_to_fs(address)
    if not filesystem.isdir(top):
        raise AudioNotFound(f"No folder {folder}: expected a folder with recordings; check the path")
    found = []
    for path in filesystem.find(top):
        inside = path.removeprefix(top).lstrip("/").split("/")
        hidden = any(part.startswith(".") for part in inside) or INBOX_NAME in inside[:-1]
        if not hidden and Path(path).suffix.lower() in AUDIO_SUFFIXES:
            found.append(path if is_local(address) else filesystem.unstrip_protocol(path))
    return sorted(found)


def register_shards(
    root: str, folder: str, *, tracks_per_shard: int = 32, date: str, max_files: int | None = None
) -> list[Shard]:
    """Write a manifest under `root`/incoming for each shard of the recordings in `folder` that are new, by content.

    A known recording that was moved keeps its shard, with its new place. `date` is `yyyymmdd` or `yyyy-mm-dd`.
    `max_files` looks at the first so many recordings by path, None at all.
    Equal files in equal order give equal shards wherever the folder lies.

    Returns:
        The new shards only, of nearly equal size, at most `tracks_per_shard` each.

    Raises:
        AudioNotFound: no such folder, or no audio in it.
        InvalidConfig: a date or shard size that makes no sense.
    """
    day = date.replace("-", "")
    if not re.fullmatch(r"\d{8}", day) or tracks_per_shard < 1:
        raise InvalidConfig(f"Shards of {tracks_per_shard} tracks dated {date!r}: expected >= 1 and yyyymmdd")
    sources = find_audio(folder)[:max_files]
    if not sources:
        raise AudioNotFound(f"No audio in {folder}: expected files such as .wav, .flac or .mp3; choose another folder")
    found = {file_hash: source for source, file_hash in reversed(list(_hashed(sources)))}
    known = _refresh_moved(root, found)
    new = [IncomingTrack(_track_id(source, key), source, key) for key, source in found.items() if key not in known]
    new.sort(key=lambda incoming: (Path(incoming.source).name, incoming.file_hash))
    num_shards = -(-len(new) // tracks_per_shard)
    shards = []
    for index in range(num_shards):
        first, last = (len(new) * edge // num_shards for edge in (index, index + 1))
        tracks = tuple(new[first:last])
        content = digest([(incoming.track_id, incoming.file_hash) for incoming in tracks])
        shards.append(Shard(f"{day}-{content[:8]}", tracks))
        _write_shard(root, shards[-1])
    return shards


def _hashed(sources: list[str]) -> Iterable[tuple[str, str]]:
    for source in track(sources, "Looking through the recordings"):
        with fsspec.open(source, "rb") as file:
            sha = hashlib.sha256()
            while block := file.read(1 << 20):
                sha.update(block)
        yield source, sha.hexdigest()


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
            tracks.append(IncomingTrack(incoming.track_id, source, incoming.file_hash))
        if tuple(tracks) != shard.tracks:
            _write_shard(root, Shard(key, tuple(tracks)))
    return known


def _write_shard(root: str, shard: Shard) -> None:
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


def split_of(audio_hash: str) -> Split:
    """On which side of the split a recording stands, by its content alone: about 25 % held out, 8 % validation."""
    position = int(digest(SPLIT_SALT, audio_hash)[:12], 16) / 16**12
    if position < HELD_OUT_SHARE:
        return "held_out"
    return "validation" if position < HELD_OUT_SHARE + VALIDATION_SHARE else "train"
