"""Stopping at a step's end, where nothing is lost."""

import os
import signal
from types import FrameType, TracebackType


class StopRequest:
    """Notes SIGINT and SIGTERM inside its block instead of dying of them, and that torchrun died.

    A torchrun that was killed leaves its ranks: they would train on beside those of the next start.
    """

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._signalled = False
        self._torchrun = os.getppid() if "TORCHELASTIC_RUN_ID" in os.environ else None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "StopRequest":
        """Listen."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    @property
    def requested(self) -> bool:
        """Whether a signal came, or the torchrun that started this rank is gone."""
        return self._signalled or (self._torchrun is not None and os.getppid() != self._torchrun)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signalled = True


class TrainingInterrupted(KeyboardInterrupt):
    """Training was asked to stop and saved its state first."""


class DrawInterrupted(TrainingInterrupted):
    """Training was asked to stop while it waited for damage that it drew anew."""
