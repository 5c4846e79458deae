"""Finding what is new: shards of recordings, and damaged files in the inbox.

What is new is what lies in the watched place less what the instance knows, so nothing is lost when a process is
killed between the two.
"""

import datetime as dt
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from audiobuff_core.data.library import IncomingTrack, Shard
from audiobuff_core.data.seen import passed_over
from audiobuff_core.data.watch import Look, watch_folder
from audiobuff_core.files import atomic_path, exists, is_local, join, local_path
from audiobuff_core.seeding import digest
from resources.currency import data_versions
from resources.inbox import inbox_files, inbox_place
from resources.partitions import INBOX_FILES, SHARDS

BUNDLED_DATE = "20250101"
"""The date in the keys of the bundled corpus: fixed, so that everybody's demo has the same shards."""

MAX_NAMED = 10
FILES_A_LOOK = 256

_VERSION_TAG = "dagster/data_version"
_INCOMING = dg.AssetKey(["audio", "incoming"])
_ALL = 1 << 30


@dataclass(frozen=True)
class Arrivals:
    """What the instance does not know yet.

    Attributes:
        shards: new partitions of recordings.
        changed: known ones whose recordings are others now.
        inbox_files: new partitions of files to repair.
        events: one for each of the above.
        look: what was seen in the watched place.
    """

    shards: tuple[str, ...]
    changed: tuple[str, ...]
    inbox_files: tuple[str, ...]
    events: tuple[dg.AssetMaterialization, ...]
    look: Look

    def __bool__(self) -> bool:
        """Whether anything is new."""
        return bool(self.events)

    def partition_requests(self) -> list[dg.AddDynamicPartitionsRequest]:
        """What a sensor asks for to make the partitions."""
        added = ((SHARDS, self.shards), (INBOX_FILES, self.inbox_files))
        return [partitions.build_add_request(list(keys)) for partitions, keys in added if keys]


def find_arrivals(
    instance: dg.DagsterInstance,
    root: str,
    folder: str | Path,
    *,
    bundled: bool,
    tracks_per_shard: int = 32,
    settle_seconds: float = 0.0,
) -> Arrivals:
    """Register the recordings in `folder` under `root` and say what `instance` lacks.

    Where `folder` is the bundled corpus, its damaged recording is put into an inbox that was never made. Files that
    were written to less than `settle_seconds` ago are left for later.

    Raises:
        AudioNotFound: the folder has no audio.
    """
    look = watch_folder(
        root,
        str(folder),
        tracks_per_shard=tracks_per_shard,
        date=BUNDLED_DATE if bundled else f"{dt.date.today():%Y%m%d}",
        # A tick that lasts too long is cut off: the rest of a large library comes in the ones after it.
        max_new=_ALL if bundled else FILES_A_LOOK,
        settle_seconds=settle_seconds,
    )
    if bundled and is_local(inbox_place(root)) and not exists(inbox_place(root)):
        _fill_inbox(root, Path(folder) / "inbox")
    partitions, versions = set(instance.get_dynamic_partitions(_name(SHARDS))), data_versions(instance, _INCOMING)
    shards = [shard for shard in look.shards if shard.key not in partitions]
    changed = [shard for shard in look.shards if shard.key in partitions and versions.get(shard.key) != _version(shard)]
    events = [_shard_event(root, shard) for shard in (*shards, *changed)]
    files, file_events = find_dropped(instance, root, settle_seconds=settle_seconds)
    return Arrivals(
        shards=tuple(shard.key for shard in shards),
        changed=tuple(shard.key for shard in changed),
        inbox_files=files,
        events=(*events, *file_events),
        look=look,
    )


def find_dropped(
    instance: dg.DagsterInstance, root: str, *, settle_seconds: float = 0.0
) -> tuple[tuple[str, ...], tuple[dg.AssetMaterialization, ...]]:
    """Partition keys of files in the inbox that `instance` does not know, and an event for each."""
    known = set(instance.get_dynamic_partitions(_name(INBOX_FILES)))
    files = [key for key in inbox_files(root, settle_seconds=settle_seconds) if key not in known]
    events = [_event(dg.AssetKey(["restoration", "inbox"]), key, key.rsplit("-", 1)[-1]) for key in files]
    return tuple(files), tuple(events)


def record_arrivals(instance: dg.DagsterInstance, arrivals: Arrivals) -> None:
    """Add the partitions and events to `instance`, as the sensor does."""
    # Events first: a partition that is known is never looked at again.
    for event in arrivals.events:
        instance.report_runless_asset_event(event)
    for request in arrivals.partition_requests():
        instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))


def vanished_events(look: Look) -> list[dg.AssetObservation]:
    """An observation of each shard that lost recordings, naming some of them."""
    shard_of = {track.track_id: shard.key for shard in look.shards for track in shard.tracks}
    counts = Counter(shard_of[track.track_id] for track in look.vanished)
    first: dict[str, list[IncomingTrack]] = {}
    for track in look.vanished:
        first.setdefault(shard_of[track.track_id], []).append(track)
    return [
        dg.AssetObservation(
            _INCOMING,
            partition=shard,
            metadata={
                "vanished": count,
                "vanished_first": "; ".join(track.source for track in first[shard][:MAX_NAMED]),
            },
        )
        for shard, count in sorted(counts.items())
    ]


def _fill_inbox(root: str, examples: Path) -> None:
    for example in sorted(path for path in examples.glob("*") if path.is_file()):
        with atomic_path(local_path(join(inbox_place(root), example.name))) as temporary:
            shutil.copyfile(example, temporary)


def _version(shard: Shard) -> str:
    return digest([(track.track_id, track.file_hash, track.copy_of) for track in shard.tracks])


def _shard_event(root: str, shard: Shard) -> dg.AssetMaterialization:
    """How many recordings a shard has, and what the look that found it passed over."""
    rows = list(passed_over(root))
    found: dict[str, Any] = {
        "recordings": len(shard.tracks),
        "copies": sum(track.copy_of is not None for track in shard.tracks),
        "passed_over": len(rows),
    }
    if rows:
        found["passed_over_first"] = "; ".join(f"{row.source}: {row.reason}" for row in rows[:MAX_NAMED])
    return _event(_INCOMING, shard.key, _version(shard), found)


def _event(
    asset: dg.AssetKey, partition: str, version: str, metadata: dict[str, Any] | None = None
) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(asset, partition=partition, tags={_VERSION_TAG: version}, metadata=metadata)


def _name(partitions: dg.DynamicPartitionsDefinition) -> str:
    assert partitions.name is not None
    return partitions.name
