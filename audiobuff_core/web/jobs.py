"""Recordings that wait for repair, one at a time, and the folders that hold them for a while."""

import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from audiobuff_core.errors import AudioBuffError
from audiobuff_core.inference.settings import RestoreSettings
from audiobuff_core.web.limits import Limits

State = Literal["waiting", "running", "done", "failed"]
SECONDS_BETWEEN_SWEEPS = 5.0
_LOG = logging.getLogger(__name__)


class QueueFull(AudioBuffError):
    """More recordings wait than the page takes."""


class Cancelled(Exception):
    """The user does not want the result any more."""


@dataclass(slots=True, eq=False)
class Job:
    """One recording of one user.

    Attributes:
        name: of the file as the user has it.
        upload: where it lies here.
        settings: how it is repaired.
        state: how far it is.
        share: of the repair that is done, 0 to 1.
        message: why it failed, in one line.
        result: what the page shows of the report.
        files: what can be fetched, by name.
        id: can't be guessed, so that nobody fetches what another one sent.
    """

    name: str
    upload: Path
    settings: RestoreSettings
    state: State = "waiting"
    share: float = 0.0
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    cancelled: bool = False
    started: float | None = None
    finished: float | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    @property
    def folder(self) -> Path:
        """All that belongs to it."""
        return self.upload.parent

    def on_progress(self, share: float) -> None:
        """Note the share that is done.

        Raises:
            Cancelled: nobody waits for it any more.
        """
        if self.cancelled:
            raise Cancelled
        self.share = share


class JobQueue:
    """One worker for all users; what is finished is deleted after a while, what is left when the server ends."""

    def __init__(self, root: Path, work: Callable[[Job], None], limits: Limits) -> None:
        """Start the worker.

        Args:
            root: folder for everything; removed at the end.
            work: repairs one recording: fills `result` and `files`, and raises AudioBuffError with one line for the
                user.
            limits: of the queue and of time.
        """
        self.root, self.work, self.limits = root, work, limits
        self._jobs: dict[str, Job] = {}
        self._waiting: list[Job] = []
        self._changed = threading.Condition()
        self._ends = False
        self._worker = threading.Thread(target=self._run, name="repairs", daemon=True)
        self._worker.start()

    def new_folder(self) -> Path:
        """An empty folder for an upload.

        Raises:
            QueueFull: too many wait already.
        """
        with self._changed:
            if len(self._waiting) >= self.limits.most_waiting:
                raise QueueFull(f"{len(self._waiting)} recordings are waiting already: try again in a few minutes")
        folder = self.root / secrets.token_hex(8)
        folder.mkdir(parents=True, mode=0o700)
        return folder

    def submit(self, job: Job) -> None:
        """Put `job` at the end of the queue."""
        with self._changed:
            self._jobs[job.id] = job
            self._waiting.append(job)
            self._changed.notify_all()

    def find(self, job_id: str) -> Job | None:
        """The job of that id, if it is still there."""
        with self._changed:
            return self._jobs.get(job_id)

    def ahead_of(self, job: Job) -> int:
        """How many recordings come before it, the one in work included."""
        with self._changed:
            if job not in self._waiting:
                return 0
            running = any(one.state == "running" for one in self._jobs.values())
            return self._waiting.index(job) + running

    def delete(self, job: Job) -> None:
        """Forget `job` and all its files; one in work stops at its next step."""
        with self._changed:
            job.cancelled = True
            self._jobs.pop(job.id, None)
            if job in self._waiting:
                self._waiting.remove(job)
            if job.state == "running":
                return  # the worker removes it
        shutil.rmtree(job.folder, ignore_errors=True)

    def close(self) -> None:
        """Stop the worker and delete everything."""
        with self._changed:
            self._ends = True
            for job in self._jobs.values():
                job.cancelled = True
            self._changed.notify_all()
        self._worker.join(timeout=30)
        shutil.rmtree(self.root, ignore_errors=True)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting and not self._ends:
                    self._changed.wait(SECONDS_BETWEEN_SWEEPS)
                if self._ends:
                    return
                job = self._waiting.pop(0) if self._waiting else None
                if job is not None:
                    job.state, job.started = "running", time.monotonic()
            if job is not None:
                self._repair(job)
            self._sweep()

    def _repair(self, job: Job) -> None:
        state: State = "failed"
        try:
            self.work(job)
            state = "done"
        except Cancelled:
            pass
        except AudioBuffError as error:
            job.message = " ".join(str(error).split()).replace(str(job.upload), job.name)
        except Exception:  # one user's recording must not stop the others'
            _LOG.exception("repairing %s", job.name)
            job.message = f"{job.name} could not be repaired: something unforeseen went wrong, and the server noted it"
        with self._changed:
            job.state, job.finished = state, time.monotonic()
            job.upload.unlink(missing_ok=True)
            forgotten = job.cancelled
        if forgotten:
            shutil.rmtree(job.folder, ignore_errors=True)

    def _sweep(self) -> None:
        """Delete what was finished long ago."""
        oldest = time.monotonic() - 60 * self.limits.keep_minutes
        with self._changed:
            old = [job for job in self._jobs.values() if job.finished is not None and job.finished < oldest]
        for job in old:
            self.delete(job)
