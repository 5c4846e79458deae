"""Segments of latents for training, read from the groups of a snapshot."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from audiobuff_core.codecs.protocols import Codec, FeatureEncoder
from audiobuff_core.codecs.registry import load_codec, load_feature_encoder
from audiobuff_core.data.snapshot import Snapshot, SnapshotItem
from audiobuff_core.data.store import open_group
from audiobuff_core.errors import DataMissing
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.model import Standardisers, standardiser_from
from audiobuff_core.seeding import numpy_generator


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Some frames of one stream: values [frames, dim], and their moments in seconds from the first target frame."""

    values: Float[Tensor, "frames dim"]
    times: Float[Tensor, "frames"]


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One training example: the clean and damaged latents of a stretch, and the side streams there.

    `trained` [latent] names the dimensions that are learned from it; None: all.
    """

    clean: Stretch
    damaged: Stretch
    structure: Stretch
    semantic: Stretch
    trained: Bool[Tensor, "latent"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Segments padded to one length, standardised.

    Attributes:
        clean: [batch, frames, latent].
        damaged: [batch, frames, latent].
        times: seconds, [batch, frames].
        valid: [batch, frames].
        structure: nothing dropped yet.
        semantic: nothing dropped yet.
        trained: [batch, latent], the dimensions that count in a loss; None: all of them.
    """

    clean: Float[Tensor, "batch frames latent"]
    damaged: Float[Tensor, "batch frames latent"]
    times: Float[Tensor, "batch frames"]
    valid: Bool[Tensor, "batch frames"]
    structure: SideStream
    semantic: SideStream
    trained: Bool[Tensor, "batch latent"] | None = None

    def num_valid(self) -> int:
        """Valid frames."""
        return int(self.valid.sum())


class LatentDataset:
    """The items of one split, as slots: an item has one for each `segment_frames` that it is long."""

    def __init__(self, snapshot: Snapshot, split: str, *, segment_frames: int) -> None:
        """Open the groups that the items of `split` name.

        Raises:
            DataMissing: the split has no items, or a group is gone.
            StoreNotSealed: a group was never finished.
            StoreMismatch: a group is of another encoder.
        """
        self.segment_frames = segment_frames
        self.items = [item for item in snapshot.items if item.split == split]
        if not self.items:
            raise DataMissing(f"Snapshot {snapshot.path} has no {split} items: add audio and make a new snapshot")
        self.slots = [
            index for index, item in enumerate(self.items) for _ in range(math.ceil(item.num_frames / segment_frames))
        ]
        self.codec: Codec = load_codec(snapshot.encoders.codec)
        self.encoders: dict[str, Codec | FeatureEncoder] = {
            "target": self.codec,
            "structure": load_feature_encoder("structure", snapshot.encoders.structure),
            "semantic": load_feature_encoder("semantic", snapshot.encoders.semantic),
        }
        self.standardisers = standardisers_of(snapshot)
        # All of them now: what is not whole is an error before training begins, not in the middle.
        self._groups = {
            place: open_group(place, encoder=self.encoders[stream].identity)
            for stream, place in sorted({pair for item in self.items for pair in item.groups.items()})
        }

    @property
    def dims(self) -> dict[str, int]:
        """Width of each stream."""
        return {stream: len(kept.mean) for stream, kept in self.standardisers.items()}

    def segment(self, slot: int, *keys: int) -> Segment:
        """The segment of `slot` whose place in its item is drawn from `keys` alone."""
        item = self.items[self.slots[slot]]
        room = item.num_frames - self.segment_frames
        first = int(numpy_generator("segment start", *keys).integers(0, room + 1)) if room > 0 else 0
        return self.segment_at(item, first)

    def segment_at(self, item: SnapshotItem, first_frame: int) -> Segment:
        """The segment of `item` that begins at target frame `first_frame`."""
        damaged_id, clean_id = f"{item.track_id}/v{item.variant}", f"{item.track_id}/clean.v{item.variant}"
        start = self._groups[item.groups["target"]].start_of(clean_id)
        begin = start + first_frame / self.codec.frame_rate
        return Segment(
            clean=self._stretch("target", item, clean_id, begin),
            damaged=self._stretch("target", item, damaged_id, begin),
            structure=self._stretch("structure", item, damaged_id, begin),
            semantic=self._stretch("semantic", item, damaged_id, begin),
            trained=self._trained(item),
        )

    def _trained(self, item: SnapshotItem) -> Tensor | None:
        """The dimensions of the target that `item` has something to teach about."""
        if item.trained_below_hz is None:
            return None
        dims = self.codec.dims_below(item.trained_below_hz)
        return None if dims is None else torch.from_numpy(dims)  # None: its band is full for such a codec

    def _stretch(self, stream: str, item: SnapshotItem, record_id: str, begin: Fraction) -> Stretch:
        """The frames of a segment that begins at second `begin` of the track."""
        group = self._groups[item.groups[stream]]
        encoder = self.encoders[stream]
        rate, num_frames, start = encoder.frame_rate, group.frames_of(record_id), group.start_of(record_id)
        # Of a side stream, the frame at or before the beginning, to the one at or after the end.
        first = min(max(0, math.floor((begin - start) * rate)), num_frames - 1)
        seconds = self.segment_frames / self.codec.frame_rate
        wanted = self.segment_frames if stream == "target" else math.ceil(seconds * rate) + 1
        count = min(wanted, num_frames - first)
        values = encoder.from_stored(group.read(record_id, first, count))
        times = torch.arange(count, dtype=torch.float64) / float(rate) + float(start + first / rate - begin)
        return Stretch(self.standardisers[stream].to_standard(values), times)


def standardisers_of(snapshot: Snapshot) -> Standardisers:
    """The statistics that a snapshot keeps, one standardiser a stream."""
    return {
        "target": standardiser_from(snapshot.target_mean, snapshot.target_std),
        "structure": standardiser_from(snapshot.structure_mean, snapshot.structure_std),
        "semantic": standardiser_from(snapshot.semantic_mean, snapshot.semantic_std),
    }


def collate(segments: list[Segment]) -> Batch:
    """`segments` padded to the longest."""
    clean, times, valid = _padded([segment.clean for segment in segments])
    damaged, _, _ = _padded([segment.damaged for segment in segments])
    return Batch(
        clean=clean,
        damaged=damaged,
        times=times,
        valid=valid,
        structure=side_stream([segment.structure for segment in segments]),
        semantic=side_stream([segment.semantic for segment in segments]),
        trained=_all_trained(segments),
    )


def _all_trained(segments: list[Segment]) -> Tensor | None:
    if all(segment.trained is None for segment in segments):
        return None
    every = torch.ones(segments[0].clean.values.shape[-1], dtype=torch.bool)
    return torch.stack([every if segment.trained is None else segment.trained for segment in segments])


def _padded(stretches: Iterable[Stretch]) -> tuple[Tensor, Tensor, Tensor]:
    listed = list(stretches)
    num_frames = max(len(stretch.times) for stretch in listed)
    values = torch.zeros(len(listed), num_frames, listed[0].values.shape[-1])
    times = torch.zeros(len(listed), num_frames, dtype=torch.float64)
    valid = torch.zeros(len(listed), num_frames, dtype=torch.bool)
    for row, stretch in enumerate(listed):
        count = len(stretch.times)
        values[row, :count], times[row, :count], valid[row, :count] = stretch.values, stretch.times, True
    return values, times, valid


def side_stream(stretches: list[Stretch]) -> SideStream:
    """`stretches` of one stream padded to the longest, none dropped."""
    values, times, valid = _padded(stretches)
    return SideStream(values, times, valid, dropped=torch.zeros(len(stretches), dtype=torch.bool))
