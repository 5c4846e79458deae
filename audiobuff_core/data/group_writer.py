"""Writing a latent group: record by record, then packed into a few large objects."""

import hashlib
import re
from collections.abc import Collection
from fractions import Fraction
from typing import Any, Final

import fsspec
import numpy as np
from numpy.typing import NDArray

from audiobuff_core.data.group import MANIFEST, LatentRecord, RecordPlace
from audiobuff_core.data.group_arrays import zarr_store
from audiobuff_core.data.statistics import ChannelStatistics
from audiobuff_core.data.unsealed import FOLDER, StoredRecord, UnsealedRecords
from audiobuff_core.errors import StoreMismatch

CHUNK_BYTES: Final = 1 << 20  # one read of Zarr costs milliseconds, whatever its size: minutes of codes at once
ROWS_A_CHUNK: Final = 256  # at least: three seconds of the codecs
ROWS_A_SHARD: Final = 64 * ROWS_A_CHUNK  # at least
NUM_SHARDS: Final = 10  # at most: with all the rest, a group is 23 objects


class GroupWriter:
    """Takes records one by one; `finish` packs them and flags them as written once their data is there.

    What was added is there after a kill, too, for a writer with the same `inputs` that wants it.
    """

    def __init__(self, url: str, *, rate: Fraction, dim: int, inputs: Any, kept: Collection[str] = ()) -> None:  # noqa: ANN401 - any JSON
        """Clear what is at `url` but the unsealed records called `kept`.

        Raises:
            StoreMismatch: a kept record differs from `rate` or `dim`.
        """
        self._url, self._rate, self._dim = url, rate, dim
        self._sha = hashlib.sha256()
        self._num_rows: dict[str, int] = {}
        self._added: set[str] = set()
        self._stored_kind: tuple[np.dtype[Any], int] | None = None
        self._unsealed = UnsealedRecords(url)
        self.places: dict[str, RecordPlace] = {}
        self.sums: list[ChannelStatistics] = []
        _clear(url)
        self._unsealed.begin(inputs, kept)
        for record in self._unsealed.read(sorted(self._unsealed.present(kept, inputs))):
            self._note(record)

    @property
    def content_hash(self) -> str:
        """SHA-256 of all that was packed: the same records have the same, in whatever order they were added."""
        return self._sha.hexdigest()

    @property
    def stored_dtype(self) -> str:
        """The type of the values on disk."""
        return str(self._kind[0])

    @property
    def _kind(self) -> tuple[np.dtype[Any], int]:
        return self._stored_kind or (np.dtype(np.float16), self._dim)

    def add(self, record: LatentRecord) -> None:
        """Write one record, over what a run before left of it.

        Raises:
            StoreMismatch: its rate, width or type differs from the group's, or its name is taken.
            InvalidAudio: a latent is not finite.
        """
        if record.record_id in self._added:
            raise StoreMismatch(f"Record {record.record_id} was added twice: expected unique names")
        if record.stored.ndim != 3 or record.stored.shape[:2] != tuple(record.frames.values.shape[:2]):
            raise StoreMismatch(
                f"Record {record.record_id} is stored as {record.stored.dtype}{list(record.stored.shape)}: expected "
                f"{list(record.frames.values.shape[:2])} rows"
            )
        stored = StoredRecord.of(record)
        self._note(stored)
        self._unsealed.add(stored)
        self._added.add(record.record_id)

    def _note(self, record: StoredRecord) -> None:
        if (record.rate, record.dim) != (self._rate, self._dim):
            raise StoreMismatch(
                f"Record {record.record_id} has {record.rate} frames a second of width {record.dim}: "
                f"this group has {self._rate} of {self._dim}; give each encoder a group of its own"
            )
        kind = (record.stored.dtype, record.stored.shape[2])
        if self._stored_kind not in (None, kind):
            raise StoreMismatch(
                f"Record {record.record_id} is stored as {kind[0]} of width {kind[1]}: expected {self._kind[0]} of "
                f"{self._kind[1]}, the type and width of the records before"
            )
        self._stored_kind = kind
        self._num_rows[record.record_id] = record.stored.shape[0] * record.stored.shape[1]

    def finish(self) -> ChannelStatistics:
        """Pack all records by name, the flags last; returns the sums over all."""
        import zarr

        group: Any = zarr.create_group(zarr_store(self._url, read_only=False))
        self._pack(group)
        counts = np.array([part.count for part in self.sums], np.int64)
        sums = np.array([[part.total, part.squares] for part in self.sums], np.float64).reshape(-1, 2, self._dim)
        group.create_array("record_counts", data=counts, chunks=(max(1, len(counts)),))
        group.create_array("record_sums", data=sums, chunks=(max(1, len(sums)), 2, self._dim))
        offsets = np.array([*(place.first_row for place in self.places.values()), sum(self._num_rows.values())])
        group.create_array("offsets", data=offsets.astype(np.int64), chunks=offsets.shape)
        written = np.ones(len(self.places), np.bool_)
        group.create_array("written", data=written, chunks=(max(1, len(written)),), fill_value=False)
        empty = ChannelStatistics.of(np.zeros((0, self._dim), np.float32))
        return ChannelStatistics.merged([empty, *self.sums])

    def discard_unsealed(self) -> None:
        """Remove the records one by one, as the sealed group has them all."""
        self._unsealed.remove()

    def _pack(self, group: Any) -> None:  # noqa: ANN401 - zarr's own type
        """Each Zarr shard is written once, and no more than one and a record are in memory."""
        values = self._create_values(group)
        rows_a_shard, flushed, num_rows = values.shards[0], 0, 0
        pending: list[NDArray[np.generic]] = []
        flags: list[NDArray[np.bool_]] = []
        for record in self._unsealed.read(sorted(self._num_rows, key=_natural)):
            self._hash(record)
            channels, num_frames, width = record.stored.shape
            gains = None if record.gains is None else tuple(record.gains)
            self.places[record.record_id] = RecordPlace(num_rows, num_frames, channels, record.start, gains)
            self.sums.append(record.sums)
            pending.append(record.stored.reshape(-1, width))
            flags.append(np.tile(record.valid, channels))
            num_rows += channels * num_frames
            whole = num_rows // rows_a_shard * rows_a_shard
            if whole > flushed or num_rows == values.shape[0]:
                rows, end = np.concatenate(pending), num_rows if num_rows == values.shape[0] else whole
                values[flushed:end] = rows[: end - flushed]
                pending, flushed = [rows[end - flushed :]], end
        valid = np.concatenate([np.zeros(0, np.bool_), *flags])
        group.create_array("valid", data=valid, chunks=(max(1, num_rows),))

    def _hash(self, record: StoredRecord) -> None:
        facts = (*record.stored.shape, record.stored.dtype, record.start, record.gains)
        self._sha.update(f"{record.record_id}:{':'.join(map(str, facts))};".encode())
        self._sha.update(np.ascontiguousarray(record.stored).tobytes() + record.valid.tobytes())

    def _create_values(self, group: Any) -> Any:  # noqa: ANN401 - zarr's own types
        from zarr.codecs import ZstdCodec

        dtype, width = self._kind
        num_rows = sum(self._num_rows.values())
        rows_a_chunk = max(ROWS_A_CHUNK, 1 << max(1, CHUNK_BYTES // (dtype.itemsize * width)).bit_length() - 1)
        rows_a_shard = max(ROWS_A_SHARD, -(-num_rows // NUM_SHARDS))
        rows_a_shard = -(-rows_a_shard // rows_a_chunk) * rows_a_chunk
        return group.create_array(
            "values",
            shape=(num_rows, width),
            dtype=dtype,
            chunks=(rows_a_chunk, width),
            shards=(rows_a_shard, width),
            compressors=ZstdCodec(checksum=True),
        )


def _natural(name: str) -> list[str | int]:
    """Numbers in a name count as such: segment 100000 comes after segment 99999."""
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", name)]


def _clear(url: str) -> None:
    """Remove the group at `url`, the seal first, so that a half removed group never passes for whole."""
    filesystem, top = fsspec.core.url_to_fs(url)
    filesystem.invalidate_cache()
    if filesystem.exists(f"{top}/{MANIFEST}"):
        filesystem.rm(f"{top}/{MANIFEST}")
    if not filesystem.exists(top):
        return
    for path in filesystem.ls(top, detail=False):
        if path.rstrip("/").rsplit("/", 1)[-1] != FOLDER:
            filesystem.rm(path, recursive=True)
