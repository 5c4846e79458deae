"""Who is candidate and who is champion, as files under `release/`, and the history of champions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from audiobuff_core.errors import DataMissing
from audiobuff_core.files import exists, join, read_bytes, read_json, write_bytes, write_json
from audiobuff_core.seeding import digest

Role = Literal["candidate", "champion"]


@dataclass(frozen=True, slots=True)
class Pointer:
    """A checkpoint with a role.

    Attributes:
        checkpoint: its key.
        weights_sha256: of its exported weights.
        metrics: kind to the digest of its measurements.
        digest: of the above.
        path: of the JSON file that says so.
    """

    checkpoint: str
    weights_sha256: str
    metrics: Mapping[str, str]
    digest: str
    path: str


def has_pointer(root: str, role: Role) -> bool:
    """Whether anyone has the role."""
    return exists(_place(root, role))


def read_pointer(root: str, role: Role) -> Pointer:
    """Who has the role.

    Raises:
        DataMissing: nobody.
    """
    place = _place(root, role)
    if not exists(place):
        raise DataMissing(f"No {role} at {place}: materialise model/{role}")
    content = read_json(place)
    return Pointer(**content, digest=digest(content), path=place)


def write_pointer(root: str, role: Role, content: Mapping[str, Any]) -> Pointer:
    """Give the role to the checkpoint of `content` (checkpoint, weights_sha256, metrics)."""
    place = _place(root, role)
    if not exists(place) or read_json(place) != content:
        write_json(place, dict(content))
    return read_pointer(root, role)


def read_history(root: str) -> list[dict[str, Any]]:
    """The lines that `remember` wrote, the oldest first."""
    place = _history(root)
    return [json.loads(line) for line in read_bytes(place).decode().splitlines()] if exists(place) else []


def remember(root: str, line: Mapping[str, Any]) -> None:
    """Add `line` to the history of champions, with the time."""
    place = _history(root)
    before = read_bytes(place) if exists(place) else b""
    stamped = {**line, "promoted_at": datetime.now(UTC).isoformat(timespec="seconds")}
    write_bytes(place, before + json.dumps(stamped, sort_keys=True).encode() + b"\n")


def _place(root: str, role: Role) -> str:
    return join(root, "release", f"{role}.json")


def _history(root: str) -> str:
    return join(root, "release", "history.jsonl")
