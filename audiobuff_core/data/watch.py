"""A folder that recordings arrive in while the pipeline runs: what is new, changed, gone, or not yet whole."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from audiobuff_core.data.copies import Fingerprints, load_fingerprints, save_fingerprints
from audiobuff_core.data.library import (
    IncomingTrack,
    Shard,
    list_shards,
    load_shard,
    named_copies,
    new_track,
    register_new,
    write_shard,
)
from audiobuff_core.data.seen import hash_files, is_settled, look_through, names_hashed
from audiobuff_core.errors import AudioNotFound
from audiobuff_core.files import is_local, local_path, printable


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a watched folder found.

    Attributes:
        shards: all that are registered now, new ones too.
        changed: keys of those whose files hold other bytes now; their manifests name the new ones.
        vanished: recordings whose files are gone, while their audio stays in the library.
        settling: files that were written to a moment ago, left for a later look.
        left: new files beyond the most that one look takes.
    """

    shards: tuple[Shard, ...]
    changed: tuple[str, ...]
    vanished: tuple[IncomingTrack, ...]
    settling: int
    left: int


def watch_folder(
    root: str, folder: str, *, tracks_per_shard: int, date: str, max_new: int, settle_seconds: float
) -> Look:
    """Register what is new in `folder`, and again what was changed in place.

    A file is left alone until nobody has written to it for `settle_seconds`. At most `max_new` files that were never
    seen are read; the rest come in later looks. A look that is cut off loses nothing.

    Raises:
        AudioNotFound: no such folder, or no audio in it that can be read.
    """
    found, passed = look_through(folder)
    if not found and not passed:
        raise AudioNotFound(f"No audio in {printable(folder)}: expected files such as .wav, .flac or .mp3")
    settled = [source for source in found if is_settled(source, settle_seconds)]
    known = names_hashed(root)
    unseen = [source for source in settled if source not in known]
    later = set(unseen[max_new:])
    hashes, unreadable = hash_files(root, [source for source in settled if source not in later])
    shards = {key: load_shard(root, key) for key in list_shards(root)}
    current = _followed(shards, hashes)
    changed = [key for key in shards if _contents(current[key]) != _contents(shards[key])]
    if changed:
        current |= _with_copies(root, {key: current[key] for key in changed})
    for key, shard in current.items():
        if shard != shards[key]:
            write_shard(root, shard)
    new = register_new(
        root, hashes, [*passed, *unreadable], tracks_per_shard=tracks_per_shard, date=date, max_new=max_new
    )
    present, top = set(found), _address(folder)
    vanished = [
        track
        for shard in current.values()
        for track in shard.tracks
        if track.source.startswith(f"{top}/") and track.source not in present
    ]
    return Look(
        shards=(*current.values(), *new),
        changed=tuple(changed),
        vanished=() if later else tuple(vanished),  # one that was moved may be among those not read yet
        settling=len(found) - len(settled),
        left=len(later),
    )


def _followed(shards: Mapping[str, Shard], hashes: Mapping[str, str]) -> dict[str, Shard]:
    """`shards` with recordings where they lie now; one that was overwritten is the recording that its file holds now.

    A copy of a recording that is no more is nobody's copy, until it is looked at again.
    """
    places = {file_hash: source for source, file_hash in reversed(list(hashes.items()))}

    def now(track: IncomingTrack) -> IncomingTrack:
        found = hashes.get(track.source)
        if found == track.file_hash:
            return track
        if track.file_hash in places:
            return replace(track, source=places[track.file_hash])
        return track if found is None else new_track(track.source, found)

    followed = {key: [now(track) for track in shard.tracks] for key, shard in shards.items()}
    names = {track.track_id for tracks in followed.values() for track in tracks} | {None}
    return {
        key: Shard(
            key, tuple(track if track.copy_of in names else replace(track, copy_of=None) for track in followed[key])
        )
        for key in shards
    }


def _contents(shard: Shard) -> list[tuple[str, str | None]]:
    return [(track.file_hash, track.copy_of) for track in shard.tracks]


def _with_copies(root: str, changed: Mapping[str, Shard]) -> dict[str, Shard]:
    """`changed` shards with the copies among their new recordings named; their fingerprints are kept."""
    before = load_fingerprints(root)
    unnamed = []
    for key, shard in changed.items():
        earlier = {track.track_id: track.copy_of for track in load_shard(root, key).tracks}
        unnamed += [
            track
            for track in shard.tracks
            if track.track_id not in before or (track.copy_of is None and earlier.get(track.track_id) is not None)
        ]
        _keep(root, shard, before)  # what was overwritten is nobody's original
    named, fingerprints = named_copies(root, unnamed)
    by_id = {track.track_id: track for track in named}
    for shard in changed.values():
        _keep(root, shard, before | fingerprints)
    return {
        key: replace(shard, tracks=tuple(by_id.get(track.track_id, track) for track in shard.tracks))
        for key, shard in changed.items()
    }


def _keep(root: str, shard: Shard, known: Fingerprints) -> None:
    names = [track.track_id for track in shard.tracks]
    save_fingerprints(root, shard.key, {name: known[name] for name in names if name in known})


def _address(folder: str) -> str:
    return str(local_path(folder).expanduser().resolve()) if is_local(folder) else folder.rstrip("/")
