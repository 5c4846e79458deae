"""What a weights file is called in the identity of an encoder, and whether it still is what was fetched."""

import hashlib
from pathlib import Path

from audiobuff_core.errors import InvalidCheckpoint


def file_hash(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_note(place: str) -> str:
    """Where the SHA-256 of the file at `place` is noted, a path or URL; `sha256sum -c` reads it."""
    return f"{place}.sha256"


def noted_hash(note: bytes) -> str:
    """The SHA-256 that a note states: its first word."""
    return (note.decode(errors="replace").split() or ["nothing"])[0]


def checked_hash(path: Path) -> str:
    """SHA-256 of a weights file, 64 hex digits.

    Raises:
        InvalidCheckpoint: the note beside it, such as `audiobuff fetch-weights` leaves, states another.
    """
    found, note = file_hash(path), Path(hash_note(str(path)))
    stated = noted_hash(note.read_bytes()) if note.is_file() else found
    if stated != found:
        raise InvalidCheckpoint(
            f"{path} has SHA-256 {found[:16]}..., but {note.name} states {stated[:16]}...: it "
            "was damaged or replaced; run `audiobuff fetch-weights` again, or delete the note"
        )
    return found
