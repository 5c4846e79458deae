"""The Zarr arrays of a latent group, read through one memory of bounded size."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.files import is_local, local_path

if TYPE_CHECKING:
    import zarr

CACHE_BYTES: Final = 1 << 30
# An array of more than this is read slice by slice: it would push everything else out.
LARGEST_CACHED_BYTES: Final = CACHE_BYTES // 4

_cached: OrderedDict[tuple[str, str, str], NDArray[np.generic]] = OrderedDict()


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
        """Rows of array `name`, read-only; small arrays are kept whole in memory for the next call."""
        whole = self._remembered(name)
        if whole is None:
            array = self._array(name)
            if array.nbytes > LARGEST_CACHED_BYTES:
                return np.asarray(array[first_row : first_row + num_rows])
            whole = self._remember(name, np.asarray(array[:]))
        return whole[first_row : first_row + num_rows]

    def whole(self, name: str) -> NDArray[np.generic]:
        """Array `name` from storage, not remembered."""
        return np.asarray(self._array(name)[:])

    def _array(self, name: str) -> "zarr.Array[Any]":
        import zarr

        return zarr.open_array(zarr_store(self.url, read_only=True), path=name, mode="r")

    def _remembered(self, name: str) -> NDArray[np.generic] | None:
        key = (self.url, self.digest, name)
        if key not in _cached:
            return None
        _cached.move_to_end(key)
        return _cached[key]

    def _remember(self, name: str, values: NDArray[np.generic]) -> NDArray[np.generic]:
        values.flags.writeable = False
        _cached[self.url, self.digest, name] = values
        while sum(kept.nbytes for kept in _cached.values()) > CACHE_BYTES:
            _cached.popitem(last=False)
        return values
