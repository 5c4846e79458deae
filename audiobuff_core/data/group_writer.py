"""Writing the arrays of a latent group: each Zarr shard once, in bounded memory."""

import hashlib
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.data.group import LatentRecord, RecordPlace
from audiobuff_core.data.group_arrays import zarr_store
from audiobuff_core.data.statistics import ChannelStatistics
from audiobuff_core.errors import InvalidAudio, StoreMismatch

ROWS_A_CHUNK: Final = 256
ROWS_A_SHARD: Final = 64 * ROWS_A_CHUNK  # one object for three minutes of the built-in codec


class GroupWriter:
    """Takes records one by one; `finish` flags them as written once their data is there."""

    def __init__(self, url: str, *, rate: Fraction, dim: int) -> None:
        import zarr

        self._group: Any = zarr.create_group(zarr_store(url, read_only=False))
        self._rate, self._dim = rate, dim
        self._sha = hashlib.sha256()
        self._values: Any = None
        self._valid: Any = None
        self._pending: list[tuple[NDArray[np.generic], NDArray[np.bool_]]] = []
        self._num_pending = 0
        self._num_flushed = 0
        self.places: dict[str, RecordPlace] = {}
        self.sums: list[ChannelStatistics] = []

    @property
    def content_hash(self) -> str:
        """SHA-256 of all that was added, in its order."""
        return self._sha.hexdigest()

    @property
    def stored_dtype(self) -> str:
        """The type of the values on disk."""
        return str(self._values.dtype)

    def add(self, record: LatentRecord) -> None:
        """Append one record.

        Raises:
            StoreMismatch: its rate, width or type differs from the group's, or its name is taken.
            InvalidAudio: a latent is not finite.
        """
        frames, stored = record.frames, record.stored
        channels, num_frames = int(frames.values.shape[0]), frames.num_frames
        self._check(record)
        if self._values is None:
            self._create(stored.shape[2], stored.dtype)
        start = frames.start
        place = RecordPlace(self._num_flushed + self._num_pending, num_frames, channels, Fraction(start))
        valid = frames.mask.numpy()
        self._sha.update(
            f"{record.record_id}:{num_frames}:{channels}:{start}:{stored.dtype}:{stored.shape[2]};".encode()
        )
        self._sha.update(np.ascontiguousarray(stored).tobytes() + valid.tobytes())
        self.places[record.record_id] = place
        self.sums.append(ChannelStatistics.of(frames.values.numpy()[:, valid].reshape(-1, self._dim)))
        self._pending.append((stored.reshape(channels * num_frames, -1), np.tile(valid, channels)))
        self._num_pending += channels * num_frames
        if self._num_pending >= ROWS_A_SHARD:
            self._flush(self._num_pending // ROWS_A_SHARD * ROWS_A_SHARD)

    def finish(self) -> ChannelStatistics:
        """Write what is pending, the sums of each record, and at last the flags; returns the sums over all."""
        if self._values is None:
            self._create(self._dim, np.dtype(np.float16))
        self._flush(self._num_pending)
        empty = ChannelStatistics.of(np.zeros((0, self._dim), np.float32))
        counts = np.array([part.count for part in self.sums], np.int64)
        sums = np.array([[part.total, part.squares] for part in self.sums], np.float64).reshape(-1, 2, self._dim)
        self._group.create_array("record_counts", data=counts, chunks=(max(1, len(counts)),))
        self._group.create_array("record_sums", data=sums, chunks=(max(1, len(sums)), 2, self._dim))
        offsets = np.array([place.first_row for place in self.places.values()] + [self._num_flushed], np.int64)
        self._group.create_array("offsets", data=offsets, chunks=offsets.shape)
        written = np.ones(len(self.places), np.bool_)
        self._group.create_array("written", data=written, chunks=(max(1, len(written)),), fill_value=False)
        return ChannelStatistics.merged([empty, *self.sums])

    def _check(self, record: LatentRecord) -> None:
        frames, stored = record.frames, record.stored
        if record.record_id in self.places:
            raise StoreMismatch(f"Record {record.record_id} was added twice: expected unique names")
        if frames.rate != self._rate or frames.dim != self._dim:
            raise StoreMismatch(
                f"Record {record.record_id} has {frames.rate} frames a second of width {frames.dim}: "
                f"this group has {self._rate} of {self._dim}; give each encoder a group of its own"
            )
        same = self._values is None or (
            stored.dtype == self._values.dtype and stored.shape[2:] == self._values.shape[1:]
        )
        if stored.shape[:2] != tuple(frames.values.shape[:2]) or stored.ndim != 3 or not same:
            raise StoreMismatch(
                f"Record {record.record_id} is stored as {stored.dtype}{list(stored.shape)}: expected "
                f"{list(frames.values.shape[:2])} rows of the type and width of the records before"
            )
        if np.issubdtype(stored.dtype, np.floating) and not np.isfinite(stored).all():
            raise InvalidAudio(
                f"Latents of {record.record_id} are not finite as {stored.dtype}: the encoder can't take this track; "
                "look at its level, or leave it out"
            )

    def _create(self, stored_dim: int, dtype: np.dtype[Any]) -> None:
        self._values = self._group.create_array(
            "values",
            shape=(0, stored_dim),
            dtype=dtype,
            chunks=(ROWS_A_CHUNK, stored_dim),
            shards=(ROWS_A_SHARD, stored_dim),
        )
        self._valid = self._group.create_array(
            "valid", shape=(0,), dtype=np.bool_, chunks=(ROWS_A_CHUNK * 16,), shards=(ROWS_A_SHARD * 16,)
        )

    def _flush(self, num_rows: int) -> None:
        """Write the first `num_rows` pending rows."""
        if num_rows == 0:
            return
        values = np.concatenate([rows for rows, _ in self._pending])
        valid = np.concatenate([flags for _, flags in self._pending])
        end = self._num_flushed + num_rows
        for array, rows in ((self._values, values), (self._valid, valid)):
            array.resize((end, *array.shape[1:]))
            array[self._num_flushed : end] = rows[:num_rows]
        self._num_flushed, self._num_pending = end, self._num_pending - num_rows
        self._pending = [(values[num_rows:], valid[num_rows:])] if self._num_pending else []
