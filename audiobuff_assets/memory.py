"""Peak memory of this process with everything it starts."""

import threading
from contextlib import suppress
from types import TracebackType

import psutil


class PeakMemory:
    """Samples the resident memory twice a second while the block runs.

    Shared pages are counted once for each process, so the figure is on the high side.

    Attributes:
        megabytes: the highest sum seen.
    """

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        own = psutil.Process()
        while True:
            total = 0
            for process in [own, *own.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    total += process.memory_info().rss
            self.megabytes = max(self.megabytes, round(total / 2**20, 1))
            if self._stop.wait(0.5):
                return
