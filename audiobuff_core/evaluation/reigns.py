"""Who was champion when and why, and the way back to an earlier one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audiobuff_core.errors import CheckpointNotFound, DataMissing, InvalidCheckpoint, InvalidConfig
from audiobuff_core.evaluation.pointers import Pointer, read_history, remember, write_pointer
from audiobuff_core.files import exists, join, read_json


@dataclass(frozen=True, slots=True)
class Reign:
    """The time of one champion.

    Attributes:
        checkpoint: its key.
        since: when it began, ISO 8601 in UTC.
        until: when the next one took over; None for the champion of today.
        reason: why it became champion.
        previous: who was champion before; None for the first.
    """

    checkpoint: str
    since: str
    until: str | None
    reason: str
    previous: str | None


def reigns(root: str) -> tuple[Reign, ...]:
    """All of them, the oldest first; none where nothing was promoted."""
    lines = read_history(root)
    ends = [*(line["promoted_at"] for line in lines[1:]), *([None] if lines else [])]
    return tuple(
        Reign(line["checkpoint"], line["promoted_at"], end, line["reason"], line["previous"])
        for line, end in zip(lines, ends, strict=True)
    )


def withdrawn_weights(root: str) -> dict[str, str]:
    """Weights (SHA-256) that were rolled back and not named champion again, each with the reason."""
    found: dict[str, str] = {}
    for line in read_history(root):
        found |= dict.fromkeys(line.get("withdrawn", ()), str(line["reason"]))
        found.pop(line["weights_sha256"], None)
    return found


def roll_back(root: str, *, to: str | None = None, reason: str = "") -> Pointer:
    """Make an earlier champion the champion again, and remember it; those since then are not promoted any more.

    Args:
        root: of all data.
        to: a checkpoint that was champion; None takes the one before the champion of today, and so on back.
        reason: why, for the history.

    Raises:
        DataMissing: there was never a champion, or none before this one.
        InvalidConfig: `to` never was champion, or is.
        CheckpointNotFound: its exported weights are gone.
        InvalidCheckpoint: other weights lie in its place than were promoted.
    """
    lines = read_history(root)
    standing = _standing(lines)
    if not standing:
        raise DataMissing(f"There never was a champion at {root}: materialise model/champion first")
    now = standing[-1]
    if to is None and len(standing) == 1:
        raise DataMissing(f"Champion {now['checkpoint']} is the first: there is no earlier one to go back to")
    if to is not None and (to == now["checkpoint"] or to not in {line["checkpoint"] for line in lines}):
        others = ", ".join(
            dict.fromkeys(line["checkpoint"] for line in lines if line["checkpoint"] != now["checkpoint"])
        )
        raise InvalidConfig(f"Roll back to {to}: expected a champion of earlier, one of {others or 'none'}")
    target = standing[-2] if to is None else next(line for line in reversed(lines) if line["checkpoint"] == to)
    _check_weights(root, target)
    kept = [line["weights_sha256"] for line in standing]
    place = kept.index(target["weights_sha256"]) if target["weights_sha256"] in kept else len(kept) - 2
    content = {name: target[name] for name in ("checkpoint", "weights_sha256", "metrics")}
    said = f"Rolled back from {now['checkpoint']}" + (f": {reason}" if reason else ".")
    # The line first: a champion without history would be worse than a line for a step back that is done again.
    remember(root, {**content, "previous": now["checkpoint"], "reason": said, "withdrawn": kept[place + 1 :]})
    return write_pointer(root, "champion", content)


def _standing(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The champions that were never taken back, the one of today last."""
    standing: list[Mapping[str, Any]] = []
    for line in lines:
        gone = {*line.get("withdrawn", ()), line["weights_sha256"]}
        standing = [one for one in standing if one["weights_sha256"] not in gone] if "withdrawn" in line else standing
        standing.append(line)
    return standing


def _check_weights(root: str, line: Mapping[str, Any]) -> None:
    place = join(root, "checkpoints", line["checkpoint"], "config.json")
    if not exists(place):
        raise CheckpointNotFound(f"No exported model at {place}: the weights of {line['checkpoint']} are gone")
    found = read_json(place).get("weights_sha256")
    if found != line["weights_sha256"]:
        raise InvalidCheckpoint(
            f"{place} is of weights {found}: expected {line['weights_sha256']}, which were promoted; bring them back"
        )
