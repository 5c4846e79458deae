"""Memory that was freed, given back to the system."""

import ctypes
import sys
from functools import cache
from typing import Any


@cache
def _trim() -> Any:  # noqa: ANN401 - a C function, or None
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def give_back_freed() -> None:
    """Give what was freed back to the system, where the allocator would keep it: in holes between what is held (glibc).

    Of long recordings that would be hundreds of MiB. Elsewhere it does nothing; it costs milliseconds.
    """
    trim = _trim()
    if trim is not None:
        trim(0)
