"""A limit on the time that a tool may take: on heavily clipped sound FFmpeg's adeclip takes minutes a second."""

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from audiobuff_core.errors import PeerTooSlow


class _Expired(BaseException):
    """No `Exception`, which the code of others may swallow."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Break off what takes longer than `seconds`; None lets it take what it takes.

    It works in the main thread alone, between two steps of Python: a call into a library is broken off once it returns.

    Raises:
        PeerTooSlow: it took longer.
        ValueError: `seconds` is a number, and this is not the main thread.
    """
    if seconds is None:
        yield
        return
    expired = threading.Event()

    def interrupt() -> None:
        expired.set()
        _thread.interrupt_main(signal.SIGINT)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if expired.is_set():
            raise _Expired
        if callable(before):
            before(number, frame)

    before = signal.signal(signal.SIGINT, on_signal)
    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    try:
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
    except _Expired:
        raise PeerTooSlow(f"gave up after {seconds:.3g} s") from None
    finally:
        signal.signal(signal.SIGINT, before)
