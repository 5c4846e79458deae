"""The folder of one run's checkpoints, on disk or behind an fsspec URL."""

import io
import re
import sys
from dataclasses import dataclass
from typing import Any, BinaryIO

import fsspec
import torch

from audiobuff_core.errors import OutputNotWritable
from audiobuff_core.files import atomic_path, exists, is_local, join, local_path, require_writable, write_bytes
from audiobuff_core.models.schema import read_checkpoint

BEST_NAME = "checkpoint_best.pt"
RESUME_NAME = "checkpoint_resume.pt"
KEPT_EPOCHS = 2


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """Checkpoints that are whole or absent: the last two epochs, the best, and one in between while training runs.

    The one in between (`checkpoint_resume.pt`) is saved when the clock says so; it goes when the epoch ends, so that
    what a finished run leaves does not depend on how fast it ran.

    Attributes:
        url: the folder.
    """

    url: str

    def require_writable(self) -> None:
        """Try to write here, before long work begins, and clear away what killed saves left half-written.

        Raises:
            OutputNotWritable: it can't be written.
        """
        probe = join(self.url, ".writable")
        if is_local(self.url):
            require_writable(local_path(probe))
            for half_written in local_path(self.url).glob(".*.part*"):
                half_written.unlink(missing_ok=True)
            return
        try:
            write_bytes(probe, b"")
            _remove(probe)
        except Exception as error:  # every kind of store has its own errors
            raise OutputNotWritable(
                f"Can't write checkpoints to {self.url} ({type(error).__name__}: {str(error)[:150]}): check the "
                "address and your credentials, or name another --checkpoint_dir"
            ) from error

    def epochs(self) -> list[tuple[int, str]]:
        """Number and address of each `checkpoint_epoch_{n}.pt`, by number: epoch 11 comes after epoch 9."""
        filesystem, path = fsspec.core.url_to_fs(self.url)
        if not filesystem.exists(path):
            return []
        filesystem.invalidate_cache()
        names = [place.rstrip("/").rsplit("/", 1)[-1] for place in filesystem.ls(path, detail=False)]
        matches = [(re.fullmatch(r"checkpoint_epoch_(\d+)\.pt", name), name) for name in names]
        return sorted((int(match[1]), join(self.url, name)) for match, name in matches if match)

    def newest(self) -> tuple[dict[str, Any], str] | None:
        """Content and address of the checkpoint that is furthest, if there is any."""
        places = self._last_places()
        if not places:
            return None
        furthest = places[0] if len(places) == 1 else max(places, key=step_of)
        return read_checkpoint(furthest), furthest

    def last_step(self) -> int | None:
        """The step of the checkpoint that is furthest, if there is any; the weights are left where they are."""
        return max((step_of(place) for place in self._last_places()), default=None)

    def _last_places(self) -> list[str]:
        places = [place for _, place in self.epochs()[-1:]]
        resume = join(self.url, RESUME_NAME)
        return [*places, resume] if exists(resume) else places

    def best(self) -> dict[str, Any]:
        """The content of the best checkpoint; on disk its tensors are read when someone looks at them."""
        return read_checkpoint(join(self.url, BEST_NAME), lazily=True)

    def save_epoch(self, content: dict[str, Any], epoch: int, *, best: bool, keep_every: int = 0) -> None:
        """Save the end of `epoch`, as the best too if it is, and drop what is no longer kept.

        The last two epochs stay, and those that `keep_every` divides, unless it is 0.
        """
        if best:
            self._write(BEST_NAME, content)
        self._write(f"checkpoint_epoch_{epoch}.pt", content)
        for older, place in self.epochs()[:-KEPT_EPOCHS]:
            if keep_every == 0 or older % keep_every:
                _remove(place)
        if exists(join(self.url, RESUME_NAME)):
            _remove(join(self.url, RESUME_NAME))

    def save_for_resume(self, content: dict[str, Any]) -> None:
        """Save a state between two epochs' ends."""
        self._write(RESUME_NAME, content)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        if is_local(self.url):  # straight to disk: in memory it would take as much again as weights and moments
            with atomic_path(local_path(join(self.url, name))) as temporary, temporary.open("wb") as file:
                _serialise(content, file)
            return
        buffer = io.BytesIO()
        _serialise(content, buffer)
        try:
            write_bytes(join(self.url, name), buffer.getvalue())
        except OSError as error:
            raise OutputNotWritable(
                f"Can't write {join(self.url, name)} ({type(error).__name__}: {str(error)[:150]}): earlier checkpoints "
                "are whole; run again when the store is back"
            ) from error


def step_of(place: str) -> int:
    """How far the checkpoint at `place` is, without its gigabytes."""
    return int(read_checkpoint(place, lazily=True)["train_state"]["step"])


def _serialise(content: dict[str, Any], file: BinaryIO) -> None:
    try:
        torch.save(_canonical(content), file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError | MemoryError):  # torch only says that a position is unexpected
            raise error.__context__ from error
        raise


def _canonical(value: Any) -> Any:  # noqa: ANN401 - any content of a checkpoint
    """`value` in fresh containers with interned strings.

    Pickle writes an object that it meets twice as a reference. Which objects are one, and not only equal, depends on
    whether a run was resumed; without that the same state always makes the same bytes.
    """
    if isinstance(value, dict):
        return {_canonical(key): _canonical(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_canonical(inner) for inner in value)
    return sys.intern(value) if type(value) is str else value


def _remove(place: str) -> None:
    filesystem, path = fsspec.core.url_to_fs(place)
    filesystem.rm_file(path)
