"""A sealed group of latents: one encoder's output for a shard of tracks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.data.statistics import ChannelStatistics
from audiobuff_core.errors import DataMissing, StoreMismatch

if TYPE_CHECKING:
    from torch import Tensor

    from audiobuff_core.codecs.frames import FrameSequence

MANIFEST: Final = "manifest.json"

Stored = NDArray[np.generic]


@dataclass(frozen=True, slots=True, eq=False)
class LatentRecord:
    """What is written for one recording.

    Attributes:
        record_id: unique in its group.
        frames: what the encoder gave.
        stored: [channels, frames, stored dim], what goes to disk for it (`to_stored` of the encoder).
    """

    record_id: str
    frames: "FrameSequence"
    stored: Stored


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """Where a record lies: its rows are channel after channel from `first_row`; `start_seconds` is its frame 0.

    `gains` are what the encoder multiplied each channel by: without them a codec could not give back the level.
    """

    first_row: int
    num_frames: int
    channels: int
    start_seconds: Fraction
    gains: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LatentGroup:
    """One encoder's output for a shard, whole and sealed.

    Attributes:
        path: full path or URL.
        digest: of everything that was stored; the same content has the same digest.
        inputs: digest of what it was made from.
        encoder: which encoder made it.
        rate: frames a second, exact.
        dim: width of a decoded frame.
        extra: what the writer noted.
        statistics: sums over all valid frames of all records.
    """

    path: str
    digest: str
    inputs: str
    encoder: EncoderIdentity
    rate: Fraction
    dim: int
    extra: Mapping[str, Any]
    statistics: ChannelStatistics
    _places: Mapping[str, RecordPlace] = field(repr=False)
    _rows: Callable[[str, int, int], Stored] = field(repr=False)
    _sums: Callable[[], Mapping[str, ChannelStatistics]] = field(repr=False)

    @property
    def record_ids(self) -> tuple[str, ...]:
        """Every record, in the order of writing."""
        return tuple(self._places)

    def frames_of(self, record_id: str) -> int:
        """Number of frames of a record.

        Raises:
            DataMissing: the group has no such record.
        """
        return self._place(record_id).num_frames

    def start_of(self, record_id: str) -> Fraction:
        """Seconds from the track's first sample to frame 0 of a record.

        Raises:
            DataMissing: the group has no such record.
        """
        return self._place(record_id).start_seconds

    def statistics_of(self, record_ids: Iterable[str]) -> ChannelStatistics:
        """Sums over the valid frames of some records.

        Raises:
            DataMissing: the group lacks one of them.
            ValueError: none was named.
        """
        sums = self._sums()
        wanted = list(record_ids)
        for record_id in wanted:
            self._place(record_id)
        return ChannelStatistics.merged(sums[record_id] for record_id in wanted)

    def read(self, record_id: str, first_frame: int, num_frames: int, *, channel: int = 0) -> Stored:
        """[num_frames, stored dim], as stored: frames `first_frame` on of one channel.

        Raises:
            DataMissing: the group has no such record.
            IndexError: the record does not have these frames.
        """
        place = self._place(record_id)
        if min(first_frame, num_frames) < 0 or first_frame + num_frames > place.num_frames:
            raise IndexError(
                f"Frames {first_frame} to {first_frame + num_frames} of {record_id}: it has {place.num_frames}"
            )
        if not 0 <= channel < place.channels:
            raise IndexError(f"Channel {channel} of {record_id}: it has {place.channels}")
        first_row = place.first_row + channel * place.num_frames + first_frame
        return self._rows("values", first_row, num_frames)

    def record(self, record_id: str, from_stored: "Callable[[Stored], Tensor] | None" = None) -> "FrameSequence":
        """A whole record with its clock and gains, decoded by `from_stored` (floats need none).

        Raises:
            DataMissing: the group has no such record.
            StoreMismatch: the record is integer codes and no `from_stored` was given.
        """
        import torch

        from audiobuff_core.codecs.frames import FrameSequence

        place = self._place(record_id)
        stored = self._rows("values", place.first_row, place.channels * place.num_frames)
        valid = self._rows("valid", place.first_row, place.num_frames).astype(np.bool_)
        if from_stored is not None:
            values = from_stored(stored)
        elif np.issubdtype(stored.dtype, np.floating):
            values = torch.from_numpy(stored.astype(np.float32))
        else:
            raise StoreMismatch(
                f"Record {record_id} of {self.path} is {stored.dtype} codes: "
                f"expected the from_stored of {self.encoder.name}"
            )
        shaped = values.reshape(place.channels, place.num_frames, self.dim)
        gains = None if place.gains is None else torch.tensor(place.gains)
        return FrameSequence(shaped, self.rate, place.start_seconds, torch.from_numpy(valid), gains)

    def _place(self, record_id: str) -> RecordPlace:
        if record_id not in self._places:
            raise DataMissing(
                f"Record {record_id} is not in latent group {self.path} of {len(self._places)} records: "
                "extract the shard that has the track"
            )
        return self._places[record_id]
