"""What one training sees, frozen: the items, their latents, the split and the statistics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import fsspec

from audiobuff_core.audio.bandwidth import FULL_SHARE
from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.codecs.registry import EncoderChoice, load_codec
from audiobuff_core.data.damage import DegradedItem, load_degraded
from audiobuff_core.data.extraction import STREAMS, Stream, clean_record, damaged_record, load_extracted
from audiobuff_core.data.statistics import ChannelStatistics
from audiobuff_core.data.store import LatentGroup
from audiobuff_core.errors import DataLeak, DataMissing, StoreMismatch
from audiobuff_core.files import exists, is_local, join, local_path, read_json, write_json
from audiobuff_core.seeding import digest

CODE_VERSION: Final = "1"
SCHEMA: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotItem:
    """One damaged variant of a track.

    Attributes:
        track_id: names the records, with `variant`.
        audio_hash: of the clean track's samples.
        variant: which of the track's damaged variants.
        split: `train` or `validation`.
        groups: full path or URL of the latent group, for each stream.
        num_frames: of the target stream.
        trained_below_hz: the clean track has nothing above, which a loss must leave out; None: it has all.
    """

    track_id: str
    audio_hash: str
    variant: int
    split: str
    groups: Mapping[str, str]
    num_frames: int
    trained_below_hz: float | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Snapshot:
    """A training set that never changes.

    Attributes:
        digest: of all that is in it; the same latents give the same digest.
        path: its file.
        root: the store that it is of, path or URL.
        items: sorted by track and variant.
        shards: where the items come from.
        encoders: the short names of the encoders.
        identities: the encoders exactly, for each stream.
        rates: frames a second, for each stream.
        statistics: for each stream: mean and std, dim numbers each, std positive. Of the training items: their clean
            latents for `target`, their damaged audio for the side streams.
        left_out: tracks whose band ends early, where the codec's latents have no frequencies to leave out of a loss.
    """

    digest: str
    path: str
    root: str
    items: tuple[SnapshotItem, ...]
    shards: tuple[str, ...]
    encoders: EncoderChoice
    identities: Mapping[str, EncoderIdentity]
    rates: Mapping[str, Fraction]
    statistics: Mapping[str, tuple[list[float], list[float]]]
    left_out: tuple[str, ...] = ()

    @property
    def target_rate(self) -> Fraction:
        """Frames a second of the target latents."""
        return self.rates["target"]

    @property
    def target_mean(self) -> list[float]:
        """[latent dim]."""
        return self.statistics["target"][0]

    @property
    def target_std(self) -> list[float]:
        """[latent dim]."""
        return self.statistics["target"][1]

    @property
    def structure_mean(self) -> list[float]:
        """[structure dim]."""
        return self.statistics["structure"][0]

    @property
    def structure_std(self) -> list[float]:
        """[structure dim]."""
        return self.statistics["structure"][1]

    @property
    def semantic_mean(self) -> list[float]:
        """[semantic dim]."""
        return self.statistics["semantic"][0]

    @property
    def semantic_std(self) -> list[float]:
        """[semantic dim]."""
        return self.statistics["semantic"][1]


def make_snapshot(root: str, shards: list[str], *, encoders: EncoderChoice) -> Snapshot:
    """Freeze the latents of `shards` by the chosen encoders as `snapshots/<16 digits of the digest>.json`.

    Raises:
        DataMissing: a shard lacks degraded audio or latents, or there is nothing to train on.
        StoreNotSealed: a group of latents is not whole.
        StoreMismatch: a group is of another encoder, or its records don't pair up.
        DataLeak: a recording is in two splits, or a held-out one among the items.
    """
    names = sorted(set(shards))
    groups = {
        shard: {stream: load_extracted(root, shard, stream, encoders=encoders) for stream in STREAMS} for shard in names
    }
    members = [(shard, item) for shard in names for item in load_degraded(root, shard).items]
    members.sort(key=lambda member: (member[1].track_id, member[1].variant))
    _refuse_leaks(item for _, item in members)
    left_out = _untrainable([item for _, item in members], encoders)
    members = [(shard, item) for shard, item in members if item.track_id not in left_out]
    if not any(item.split == "train" for _, item in members):
        raise DataMissing(
            f"No training items in {len(names)} shards with {len(members)} items ({len(left_out)} tracks left out, "
            f"as their band ends early and the codec {encoders.codec} can't mask it): add recordings and damage them"
        )
    first = groups[names[0]]
    body = {
        "schema": SCHEMA,
        "code_version": CODE_VERSION,
        "shards": names,
        "encoders": encoders.as_dict(),
        "identities": {stream: first[stream].encoder.as_dict() for stream in STREAMS},
        "rates": {stream: str(first[stream].rate) for stream in STREAMS},
        "contents": [[shard, stream, groups[shard][stream].digest] for shard in names for stream in STREAMS],
        "items": [_item_entry(root, item, groups[shard]) for shard, item in members],
        "statistics": {stream: _statistics(stream, members, groups) for stream in STREAMS},
        "left_out": sorted(left_out),
    }
    fixed = digest(body)
    path = join(root, "snapshots", f"{fixed[:16]}.json")
    if not exists(path):
        write_json(path, {**body, "digest": fixed})
    return load_snapshot(path)


def load_snapshot(path: str) -> Snapshot:
    """The snapshot at a path or URL.

    Raises:
        DataMissing: there is none.
        StoreMismatch: it is of another schema, or was changed after it was written.
    """
    body = read_json(path)
    if not isinstance(body, dict) or body.get("schema") != SCHEMA:
        raise StoreMismatch(f"{path} is no training snapshot of schema {SCHEMA}: make the snapshot again")
    written = body.pop("digest", None)
    if written != digest(body):
        raise StoreMismatch(f"Snapshot {path} was changed after it was written: delete it and make it again")
    root = str(local_path(path).resolve().parent.parent) if is_local(path) else path.rsplit("/", 2)[0]
    return Snapshot(
        digest=written,
        path=path,
        root=root,
        items=tuple(_item(root, entry) for entry in body["items"]),
        shards=tuple(body["shards"]),
        encoders=EncoderChoice(**body["encoders"]),
        identities={stream: EncoderIdentity(**fields) for stream, fields in body["identities"].items()},
        rates={stream: Fraction(rate) for stream, rate in body["rates"].items()},
        statistics={stream: (kept["mean"], kept["std"]) for stream, kept in body["statistics"].items()},
        left_out=tuple(body.get("left_out", ())),
    )


def snapshot_paths(root: str) -> list[str]:
    """Every snapshot that was ever made under `root`."""
    filesystem, folder = fsspec.core.url_to_fs(join(root, "snapshots"))
    if not filesystem.isdir(folder):
        return []
    names = sorted(path.rsplit("/", 1)[-1] for path in filesystem.ls(folder, detail=False) if path.endswith(".json"))
    return [join(root, "snapshots", name) for name in names]


def _item(root: str, entry: Mapping[str, Any]) -> SnapshotItem:
    groups = {stream: join(root, place) for stream, place in entry["groups"].items()}
    return SnapshotItem(**{**entry, "groups": groups})


def _item_entry(root: str, item: DegradedItem, groups: Mapping[Stream, LatentGroup]) -> dict[str, Any]:
    """An item as JSON; its groups are named relative to `root`, so that the whole folder may move."""
    target = groups["target"]
    num_frames = target.frames_of(damaged_record(item.track_id, item.variant))
    clean_frames = target.frames_of(clean_record(item.track_id, item.variant))
    if num_frames != clean_frames:
        raise StoreMismatch(
            f"Track {item.track_id} has {clean_frames} clean and {num_frames} damaged frames in {target.path}: "
            "expected as many; damage the shard and extract it again"
        )
    return {
        "track_id": item.track_id,
        "audio_hash": item.row.audio_hash,
        "variant": item.variant,
        "split": item.split,
        "groups": {stream: group.path.removeprefix(f"{root.rstrip('/')}/") for stream, group in groups.items()},
        "num_frames": num_frames,
        "trained_below_hz": item.trained_below_hz,
    }


def _refuse_leaks(items: Iterable[DegradedItem]) -> None:
    splits: dict[str, str] = {}
    for item in items:
        known = splits.setdefault(item.row.audio_hash, item.split)
        if known != item.split:
            raise DataLeak(f"Track {item.track_id} is in {item.split}, but its audio is in {known}, too: remove one")
        if item.split == "held_out":
            raise DataLeak(f"Track {item.track_id} is held out, expected train or validation: damage its shard again")


def _untrainable(items: list[DegradedItem], encoders: EncoderChoice) -> set[str]:
    """The tracks with a band that ends early, where the codec can't keep that out of a loss."""
    codec = load_codec(encoders.codec)
    return {
        item.track_id
        for item in items
        if item.trained_below_hz is not None
        and item.trained_below_hz < FULL_SHARE * codec.sample_rate / 2.0
        and codec.dims_below(item.trained_below_hz) is None
    }


def _statistics(
    stream: Stream, members: list[tuple[str, DegradedItem]], groups: Mapping[str, Mapping[Stream, LatentGroup]]
) -> dict[str, list[float]]:
    """Mean and std of the training items, shard by shard; of those with full band, where there are any."""
    record = clean_record if stream == "target" else damaged_record
    training = [(place, item) for place, item in members if item.split == "train"]
    full = [(place, item) for place, item in training if item.trained_below_hz is None]
    parts = []
    for shard, of_shard in groups.items():
        wanted = [record(item.track_id, item.variant) for place, item in full or training if place == shard]
        if wanted:
            parts.append(of_shard[stream].statistics_of(wanted))
    merged = ChannelStatistics.merged(parts)
    return {"mean": merged.mean.tolist(), "std": merged.std.tolist()}
