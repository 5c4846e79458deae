"""The Zarr arrays of a latent group, read in blocks that are remembered.

A single small read costs Zarr milliseconds, and a training reads a few seconds of a record at a time. So a read takes
the block of about 2 MiB around it, minutes of codes, and what falls into it later comes from memory.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.data.block_cache import BlockCache
from audiobuff_core.errors import StoreMismatch
from audiobuff_core.files import is_local, local_path

if TYPE_CHECKING:
    import zarr

BLOCK_BYTES: Final = 1 << 21

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
        opened = _opened(self.url, self.digest, name)
        end = min(first_row + num_rows, opened.num_rows)
        first_block = first_row // opened.block_rows
        last_block = max(first_block, (end - 1) // opened.block_rows)
        parts = []
        for block in range(first_block, last_block + 1):
            begin = block * opened.block_rows
            rows = blocks.get((self.url, self.digest, name, block), partial(opened.read, begin))
            parts.append(rows[max(0, first_row - begin) : end - begin])
        if len(parts) == 1:
            return parts[0]
        joined = np.concatenate(parts)
        joined.flags.writeable = False
        return joined

    def whole(self, name: str) -> NDArray[np.generic]:
        """Array `name` from storage, not remembered."""
        return np.asarray(_opened(self.url, self.digest, name).array[:])


@dataclass(frozen=True, slots=True)
class _Opened:
    """An array and its sizes, which Zarr would work out anew at each question."""

    url: str
    array: "zarr.Array[Any]"
    num_rows: int
    block_rows: int

    def read(self, first_row: int) -> NDArray[np.generic]:
        """The block from `first_row` on."""
        try:
            return np.asarray(self.array[first_row : first_row + self.block_rows])
        except (RuntimeError, ValueError) as error:  # what the decompressors of Zarr raise
            raise StoreMismatch(
                f"{self.url}, rows from {first_row}: damaged on its medium ({error}); remove the group's folder and "
                "prepare it again"
            ) from error


@lru_cache(maxsize=1024)
def _opened(url: str, digest: str, name: str) -> _Opened:
    """The array; `digest` keeps those of a group that was replaced apart. A block is whole chunks of `BLOCK_BYTES`."""
    import zarr

    array = zarr.open_array(zarr_store(url, read_only=True), path=name, mode="r", zarr_format=3)
    row_bytes = array.dtype.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))
    chunk_rows = int(array.chunks[0])
    block_rows = max(1, BLOCK_BYTES // (max(1, row_bytes) * chunk_rows)) * chunk_rows
    return _Opened(f"{url}/{name}", array, int(array.shape[0]), block_rows)
