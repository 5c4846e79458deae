"""Blocks of arrays in memory, the least recently used forgotten first."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

CACHE_BYTES: Final = 1 << 30

Block = NDArray[np.generic]


class BlockCache:
    """At most `capacity_bytes` of blocks, whatever number of threads reads."""

    def __init__(self, capacity_bytes: int = CACHE_BYTES) -> None:
        self.capacity_bytes = capacity_bytes
        self.num_bytes = 0
        self._blocks: OrderedDict[Hashable, Block] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, read: Callable[[], Block]) -> Block:
        """The block called `key`, read-only; by `read` unless it is remembered."""
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key]
        block = read()  # outside the lock: two threads may read the same, none waits for another's
        block.flags.writeable = False
        with self._lock:
            if key not in self._blocks:
                self._blocks[key] = block
                self.num_bytes += block.nbytes
            while self.num_bytes > self.capacity_bytes and len(self._blocks) > 1:
                _, forgotten = self._blocks.popitem(last=False)
                self.num_bytes -= forgotten.nbytes
        return block
