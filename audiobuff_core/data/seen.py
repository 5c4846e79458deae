"""The files of a library: which there are, their hashes (taken once), and those that had to be passed over."""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import fsspec

from audiobuff_core.audio.suffixes import AUDIO_SUFFIXES, is_hidden
from audiobuff_core.errors import AudioNotFound
from audiobuff_core.files import exists, is_local, join, local_path, printable, read_json, write_json
from audiobuff_core.progress import track

# Damaged recordings waiting for repair: never material to learn from.
INBOX_NAME = "inbox"
WORKERS = 4
FILES_BETWEEN_NOTES = 256
# What a file system says when a file may have changed.
MARKS = ("size", "mtime", "LastModified", "ETag", "created", "updated")


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file or folder of a library that is in no shard, and why."""

    source: str
    reason: str


def find_audio(folder: str) -> list[str]:
    """Absolute paths or URLs of the files under `folder` with a suffix of audio, sorted.

    Hidden files and folders are passed over, and so are sub-folders named `inbox`.

    Raises:
        AudioNotFound: there is no such folder.
    """
    return look_through(folder)[0]


def look_through(folder: str, *, inboxes: bool = False) -> tuple[list[str], list[PassedOver]]:
    """What `find_audio` finds, with `inboxes` in sub-folders of that name too, and what can't be read.

    Raises:
        AudioNotFound: there is no such folder.
    """
    address = str(local_path(folder).expanduser().resolve()) if is_local(folder) else folder
    filesystem, top = fsspec.core.url_to_fs(address)
    filesystem.invalidate_cache()  # object stores remember listings
    if not filesystem.isdir(top):
        raise AudioNotFound(f"No folder {printable(folder)}: expected a folder with recordings; check the path")
    closed: list[OSError] = []
    # fsspec says nothing of folders on this machine that it may not look into.
    places = _files_under(top, closed) if is_local(address) else filesystem.find(top)
    passed = []
    found = []
    for path in places:
        inside = path.removeprefix(top).lstrip("/").split("/")
        waiting = INBOX_NAME in inside[:-1] and not inboxes
        if waiting or is_hidden("/".join(inside)) or Path(path).suffix.lower() not in AUDIO_SUFFIXES:
            continue
        if path.encode(errors="ignore").decode() == path:
            found.append(path if is_local(address) else filesystem.unstrip_protocol(path))
        else:
            passed.append(PassedOver(printable(path), "its name is no UTF-8 text: rename it"))
    passed += [
        PassedOver(
            printable(str(error.filename)), f"the folder can't be read ({error.strerror}): check its permissions"
        )
        for error in closed
    ]
    return sorted(found), passed


def _files_under(top: str, closed: list[OSError]) -> Iterator[str]:
    """Also behind links; no folder is looked into twice, as links may lead in circles."""
    entered: set[str] = set()
    for folder, inner, names in os.walk(top, onerror=closed.append, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            inner.clear()
            continue
        entered.add(real)
        inner.sort()
        yield from (f"{folder.rstrip('/')}/{name}" for name in names)


def hash_files(root: str, sources: list[str], *, note: str = "seen") -> tuple[dict[str, str], list[PassedOver]]:
    """SHA-256 of each of `sources` that can be read, in their order, and those that can't.

    Hashes are kept under `root`, as `library/<note>.json`: a file that has not changed since is not read again.
    """
    place = join(root, "library", f"{note}.json")
    before: dict[str, Any] = read_json(place) if exists(place) else {}
    seen: dict[str, list[str]] = {}
    hashes: dict[str, str] = {}
    passed = []
    num_new = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        answers = pool.map(partial(_hashed, before), sources)
        for source, answer in track(
            zip(sources, answers, strict=True), "Looking through the recordings", total=len(sources)
        ):
            if isinstance(answer, PassedOver):
                passed.append(answer)
            else:
                seen[source] = answer
                hashes[source] = answer[1]
                num_new += before.get(source) != answer
                if num_new == FILES_BETWEEN_NOTES:  # a look that is cut off has not been for nothing
                    num_new = 0
                    write_json(place, {**before, **seen})
    if seen != before:
        write_json(place, seen)
    return hashes, passed


def names_hashed(root: str) -> set[str]:
    """The files whose hash is known, perhaps that of earlier bytes."""
    place = join(root, "library", "seen.json")
    return set(read_json(place)) if exists(place) else set()


def is_settled(source: str, settle_seconds: float) -> bool:
    """Whether the file at `source` was left alone for so long: else somebody may still be writing it.

    Object stores show an object when it is whole. A file that is gone counts as settled: reading it says so.
    """
    if not is_local(source):
        return True
    try:
        # Not the time of modification: who copies a file may set that to whatever the original had.
        return time.time() - local_path(source).stat().st_ctime >= settle_seconds
    except OSError:
        return True


def changed_since(root: str, hashes: Mapping[str, str]) -> set[str]:
    """Which of the files in `hashes` (SHA-256 by place) hold other bytes now; those that are gone are not among them.

    Only files whose size or time of change is not what it was are read.
    """
    place = join(root, "library", "seen.json")
    before: dict[str, Any] = read_json(place) if exists(place) else {}
    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(partial(_hashed, before), hashes))
    return {
        source
        for (source, known), now in zip(hashes.items(), answers, strict=True)
        if not isinstance(now, PassedOver) and now[1] != known
    }


def _hashed(before: dict[str, Any], source: str) -> list[str] | PassedOver:
    """Mark and hash of the file at `source`."""
    try:
        filesystem, path = fsspec.core.url_to_fs(source)
        info = filesystem.info(path)
        mark = "/".join(str(info[name]) for name in MARKS if name in info)
        known = before.get(source)
        if known is not None and known[0] == mark:
            return list(known)
        sha = hashlib.sha256()
        with filesystem.open(path, "rb") as file:
            while block := file.read(1 << 20):
                sha.update(block)
    except OSError as error:
        return PassedOver(printable(source), f"can't be read ({error.strerror or error}): check its permissions")
    return [mark, sha.hexdigest()]


def note_passed_over(root: str, rows: list[PassedOver]) -> None:
    """Keep `rows` under `root` in place of those of an earlier look."""
    place = join(root, "library", "passed_over.json")
    if rows or exists(place):
        write_json(place, [asdict(row) for row in rows])


def passed_over(root: str) -> Iterator[PassedOver]:
    """What the last look through the library passed over."""
    place = join(root, "library", "passed_over.json")
    if exists(place):
        yield from (PassedOver(**row) for row in read_json(place))
