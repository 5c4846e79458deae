"""Records of a group that is not sealed yet: one object each, so that what was encoded before a kill is kept."""

import io
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import fsspec
import numpy as np
from numpy.typing import NDArray

from audiobuff_core.data.group import LatentRecord, Stored
from audiobuff_core.data.statistics import ChannelStatistics
from audiobuff_core.errors import InvalidAudio
from audiobuff_core.files import exists, join, read_bytes, read_json, write_bytes, write_json
from audiobuff_core.seeding import digest

FOLDER: Final = "unsealed"
INPUTS: Final = "inputs.json"
_SUFFIX: Final = ".npz"


@dataclass(frozen=True, slots=True, eq=False)
class StoredRecord:
    """All that is kept of a record.

    Attributes:
        record_id: unique in its group.
        stored: [channels, frames, stored dim].
        valid: [frames].
        rate: frames a second.
        start: seconds, the moment of frame 0.
        gains: [channels], what the encoder multiplied by; None where it left the level alone.
        sums: over the decoded valid frames.
    """

    record_id: str
    stored: Stored
    valid: NDArray[np.bool_]
    rate: Fraction
    start: Fraction
    gains: list[float] | None
    sums: ChannelStatistics

    @classmethod
    def of(cls, record: LatentRecord) -> "StoredRecord":
        """What is kept of `record`.

        Raises:
            InvalidAudio: a latent is not finite as it is stored.
        """
        frames, stored = record.frames, record.stored
        if np.issubdtype(stored.dtype, np.floating) and not np.isfinite(stored).all():
            raise InvalidAudio(
                f"Latents of {record.record_id} are not finite as {stored.dtype}: the encoder can't take this track; "
                "look at its level, or leave it out"
            )
        valid = frames.mask.numpy()
        sums = ChannelStatistics.of(frames.values.numpy()[:, valid].reshape(-1, frames.dim))
        gains = None if frames.gains is None else [float(gain) for gain in frames.gains]
        return cls(record.record_id, stored, valid, frames.rate, frames.start, gains, sums)

    @property
    def dim(self) -> int:
        """Width of a decoded frame."""
        return len(self.sums.total)


class UnsealedRecords:
    """The records that were written to the group at `url` so far; each is whole or absent."""

    def __init__(self, url: str) -> None:
        self.url = join(url, FOLDER)

    def begin(self, inputs: Any, kept: Collection[str]) -> None:  # noqa: ANN401 - any JSON
        """Keep what is there of `kept`, if it was made from the same `inputs`; remove the rest."""
        stays = {_file(name) for name in self.present(kept, inputs)}
        filesystem, top = fsspec.core.url_to_fs(self.url)
        if not stays and filesystem.exists(top):
            filesystem.rm(top, recursive=True)
        for file in self._files() - stays:
            filesystem.rm_file(f"{top}/{file}")
        write_json(join(self.url, INPUTS), inputs)

    def present(self, names: Collection[str], inputs: Any) -> frozenset[str]:  # noqa: ANN401 - any JSON
        """Those of `names` that are there, if they were made from `inputs`."""
        note = join(self.url, INPUTS)
        if not exists(note) or read_json(note) != inputs:
            return frozenset()
        files = self._files()
        return frozenset(name for name in names if _file(name) in files)

    def _files(self) -> set[str]:
        filesystem, top = fsspec.core.url_to_fs(self.url)
        filesystem.invalidate_cache()  # object stores remember listings
        if not filesystem.exists(top):
            return set()
        files = (path.rsplit("/", 1)[-1] for path in filesystem.ls(top, detail=False))
        return {file for file in files if file.endswith(_SUFFIX) and not file.startswith(".")}

    def add(self, record: StoredRecord) -> None:
        """Write one record."""
        facts = {
            "rate": str(record.rate),
            "start": str(record.start),
            "gains": record.gains,
            "count": record.sums.count,
        }
        buffer = io.BytesIO()
        np.savez(
            buffer,
            stored=record.stored,
            valid=record.valid,
            total=record.sums.total,
            squares=record.sums.squares,
            facts=np.frombuffer(json.dumps(facts).encode(), np.uint8),
        )
        write_bytes(join(self.url, _file(record.record_id)), buffer.getvalue())

    def read(self, names: Collection[str]) -> Iterator[StoredRecord]:
        """The records called `names`, in their order."""
        for name in names:
            with np.load(io.BytesIO(read_bytes(join(self.url, _file(name)))), allow_pickle=False) as kept:
                facts = json.loads(kept["facts"].tobytes())
                sums = ChannelStatistics(facts["count"], kept["total"], kept["squares"])
                yield StoredRecord(
                    record_id=name,
                    stored=kept["stored"],
                    valid=kept["valid"],
                    rate=Fraction(facts["rate"]),
                    start=Fraction(facts["start"]),
                    gains=facts["gains"],
                    sums=sums,
                )

    def remove(self) -> None:
        """Remove all, once the group is sealed."""
        filesystem, top = fsspec.core.url_to_fs(self.url)
        filesystem.rm(top, recursive=True)


def _file(name: str) -> str:
    return digest(name)[:32] + _SUFFIX
