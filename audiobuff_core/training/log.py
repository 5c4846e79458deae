"""The training log: rows that depend on the run's position alone, never on the clock."""

import json
from typing import Any

from audiobuff_core.files import exists, join, read_bytes, write_bytes

LOG_NAME = "training_log.jsonl"


def read_log(folder: str) -> list[dict[str, Any]]:
    """The rows in `folder`: {step, epoch, loss, lr} and {step, epoch, val_loss}; none if there is no log."""
    place = join(folder, LOG_NAME)
    if not exists(place):
        return []
    return [json.loads(line) for line in read_bytes(place).decode().splitlines()]


class TrainingLog:
    """The rows so far, written anew at each `flush`; a resumed run forgets rows after its position."""

    def __init__(self, folder: str, *, last_step: int) -> None:
        """Take over the rows of `folder` up to `last_step`."""
        self.place = join(folder, LOG_NAME)
        self.rows = [row for row in read_log(folder) if row["step"] <= last_step]

    def add(self, **row: Any) -> None:  # noqa: ANN401 - JSON values
        """Append one row."""
        self.rows.append(row)

    def flush(self) -> None:
        """Write all rows."""
        write_bytes(self.place, "".join(json.dumps(row) + "\n" for row in self.rows).encode())
