"""The folder or URL that users drop damaged files into."""

import os
import re
from pathlib import PurePosixPath

import fsspec

from audiobuff_core.data.seen import hash_files, is_settled
from audiobuff_core.errors import DataMissing
from audiobuff_core.files import delete, exists, is_local, join, local_path, printable, read_bytes, write_bytes

INBOX_VARIABLE = "AUDIOBUFF_INBOX"
REFUSED = "refused"
HIDDEN = (".", "_")


def inbox_place(root: str) -> str:
    """The inbox: the variable AUDIOBUFF_INBOX, else `inbox` under `root`."""
    place = os.environ.get(INBOX_VARIABLE, "") or join(root, "inbox")
    return str(local_path(place).expanduser().absolute()) if is_local(place) else place.rstrip("/")


def inbox_files(root: str, *, settle_seconds: float = 0.0) -> dict[str, str]:
    """Path or URL of each file that waits, by partition key `<name>-<8 hex of the bytes>`, in order of their names.

    Files that were written to less than `settle_seconds` ago are left for later; only new ones are read.
    """
    filesystem, folder = fsspec.core.url_to_fs(inbox_place(root))
    filesystem.invalidate_cache()  # object stores remember listings
    if not filesystem.isdir(folder):
        return {}
    found = [str(one["name"]) for one in filesystem.ls(folder, detail=True) if one["type"] == "file"]
    places = [
        path if is_local(inbox_place(root)) else str(filesystem.unstrip_protocol(path))
        for path in sorted(found)
        if not path.rsplit("/", 1)[-1].startswith(HIDDEN)
    ]
    settled = [place for place in places if is_settled(place, settle_seconds)]
    hashes, _ = hash_files(root, settled, note="inbox")
    return {_key(place, file_hash): place for place, file_hash in hashes.items()}


def inbox_file(root: str, key: str) -> str:
    """The place of the file with partition `key`.

    Raises:
        DataMissing: it is not there any more, or was changed.
    """
    files = inbox_files(root)
    if key not in files:
        raise DataMissing(f"No file {key} in {inbox_place(root)}: it was moved or changed; drop it there again.")
    return files[key]


def set_aside(root: str, place: str, key: str, reason: str) -> str:
    """Move the dropped file at `place` to `refused/` in the inbox, with `reason` in a text beside it; its new place.

    It keeps its name, or is called by its partition `key` where another file of that name lies there. The copy is whole
    before the file goes: stores without rename lose nothing either.
    """
    name, data = place.rsplit("/", 1)[-1], read_bytes(place)
    moved = join(inbox_place(root), REFUSED, name)
    if exists(moved) and read_bytes(moved) != data:
        moved = join(inbox_place(root), REFUSED, key + PurePosixPath(name).suffix)
    write_bytes(f"{moved}.reason.txt", f"{reason}\n".encode())
    write_bytes(moved, data)
    if exists(moved):
        delete(place)
    return moved


def _key(place: str, file_hash: str) -> str:
    stem = printable(place.rsplit("/", 1)[-1]).rsplit(".", 1)[0]
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", stem)[:40] or "file"
    return f"{name}-{file_hash[:8]}"
