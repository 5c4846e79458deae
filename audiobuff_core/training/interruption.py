"""Stopping at a step's end, where nothing is lost."""

import signal
from types import FrameType, TracebackType


class StopRequest:
    """Notes SIGINT and SIGTERM inside its block instead of dying of them.

    Attributes:
        requested: whether one came.
    """

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.requested = False
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

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True


class TrainingInterrupted(KeyboardInterrupt):
    """Training was asked to stop and saved its state first."""
