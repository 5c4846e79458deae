"""The Zarr arrays of a latent group, read in blocks that are remembered.

A single small read costs Zarr milliseconds, and a training reads a few seconds of a record at a time. So a read takes
the block of about 1 MiB around it, minutes of codes, and what falls into it later comes from memory.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.data.block_cache import BlockCache
from audiobuff_core.files import is_local, local_path

if TYPE_CHECKING:
    import zarr

BLOCK_BYTES: Final = 1 << 20

blocks: Final = BlockCache()


def zarr_store(url: str, *, read_only: bool) -> Any:  # noqa: ANN401 - zarr's own type
    """The Zarr store at a path or fsspec URL."""
    from zarr.storage import FsspecStore, LocalStore

    if is_local(url):
        return LocalStore(local_path(url), read_only=read_only)
    return FsspecStore.from_url(url, read_only=read_only)


@dataclass(frozen=True, slots=True)
class GroupArrays:
    """The arrays of the group at `url` whose content is `digest`."""

    url: str
    digest: str

    def rows(self, name: str, first_row: int, num_rows: int) -> NDArray[np.generic]:
        """Rows of array `name`, read-only."""
        array = _opened(self.url, self.digest, name)
        block_rows = _block_rows(array)
        end = min(first_row + num_rows, array.shape[0])
        first_block = first_row // block_rows
        parts = [
            self._block(name, array, block)[max(0, first_row - block * block_rows) : end - block * block_rows]
            for block in range(first_block, max(first_block, (end - 1) // block_rows) + 1)
        ]
        if len(parts) == 1:
            return parts[0]
        joined = np.concatenate(parts)
        joined.flags.writeable = False
        return joined

    def whole(self, name: str) -> NDArray[np.generic]:
        """Array `name` from storage, not remembered."""
        return np.asarray(_opened(self.url, self.digest, name)[:])

    def _block(self, name: str, array: "zarr.Array[Any]", block: int) -> NDArray[np.generic]:
        rows = _block_rows(array)
        return blocks.get(
            (self.url, self.digest, name, block), lambda: np.asarray(array[block * rows : (block + 1) * rows])
        )


def _block_rows(array: "zarr.Array[Any]") -> int:
    """Whole chunks, of about `BLOCK_BYTES` together."""
    row_bytes = array.dtype.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))
    chunk_rows = int(array.chunks[0])
    return max(1, BLOCK_BYTES // (max(1, row_bytes) * chunk_rows)) * chunk_rows


@lru_cache(maxsize=1024)
def _opened(url: str, digest: str, name: str) -> "zarr.Array[Any]":
    """The array; `digest` keeps those of a group that was replaced apart."""
    import zarr

    return zarr.open_array(zarr_store(url, read_only=True), path=name, mode="r", zarr_format=3)
