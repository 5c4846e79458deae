"""Finding what is new: shards of recordings, and damaged files in the inbox.

What is new is what lies on disk less the partitions that the instance knows, so nothing is lost when a process is
killed between the two.
"""

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from audiobuff_core.data.library import list_shards, load_shard, register_shards
from audiobuff_core.data.seen import passed_over
from audiobuff_core.files import atomic_path
from audiobuff_core.seeding import digest
from resources.inbox import inbox_files, inbox_folder
from resources.partitions import INBOX_FILES, SHARDS

BUNDLED_DATE = "20250101"
"""The date in the keys of the bundled corpus: fixed, so that everybody's demo has the same shards."""

MAX_NAMED = 10
SHARDS_A_LOOK = 8

_VERSION_TAG = "dagster/data_version"


@dataclass(frozen=True)
class Arrivals:
    """What the instance does not know yet."""

    shards: tuple[str, ...]
    inbox_files: tuple[str, ...]
    events: tuple[dg.AssetMaterialization, ...]

    def __bool__(self) -> bool:
        """Whether anything is new."""
        return bool(self.events)


def find_arrivals(
    instance: dg.DagsterInstance, root: str, folder: str | Path, *, bundled: bool, tracks_per_shard: int = 32
) -> Arrivals:
    """Register the recordings in `folder` under `root` and say what `instance` lacks.

    Where `folder` is the bundled corpus, its damaged recording is put into an inbox that was never made.

    Raises:
        AudioNotFound: the folder has no audio.
    """
    date = BUNDLED_DATE if bundled else f"{dt.date.today():%Y%m%d}"
    # A tick that lasts too long is cut off: the rest of a large library comes in the ones after it.
    max_new = None if bundled else SHARDS_A_LOOK * tracks_per_shard
    register_shards(root, str(folder), tracks_per_shard=tracks_per_shard, date=date, max_new=max_new)
    if bundled and not inbox_folder(root).exists():
        _fill_inbox(root, Path(folder) / "inbox")
    known = {name: set(instance.get_dynamic_partitions(name)) for name in (_name(SHARDS), _name(INBOX_FILES))}
    shards = [shard for shard in list_shards(root) if shard not in known[_name(SHARDS)]]
    files = [key for key in inbox_files(root) if key not in known[_name(INBOX_FILES)]]
    events = [
        _event("audio/incoming", shard, _shard_version(root, shard), _incoming_metadata(root, shard))
        for shard in shards
    ]
    events += [_event("restoration/inbox", key, key.rsplit("-", 1)[-1]) for key in files]
    return Arrivals(tuple(shards), tuple(files), tuple(events))


def record_arrivals(instance: dg.DagsterInstance, arrivals: Arrivals) -> None:
    """Add the partitions and events to `instance`, as the sensor does."""
    # Events first: a partition that is known is never looked at again.
    for event in arrivals.events:
        instance.report_runless_asset_event(event)
    for partitions, keys in ((SHARDS, arrivals.shards), (INBOX_FILES, arrivals.inbox_files)):
        if keys:
            instance.add_dynamic_partitions(_name(partitions), list(keys))


def _fill_inbox(root: str, examples: Path) -> None:
    for example in sorted(path for path in examples.glob("*") if path.is_file()):
        with atomic_path(inbox_folder(root) / example.name) as temporary:
            shutil.copyfile(example, temporary)


def _shard_version(root: str, shard: str) -> str:
    return digest([(track.track_id, track.file_hash, track.copy_of) for track in load_shard(root, shard).tracks])


def _incoming_metadata(root: str, shard: str) -> dict[str, Any]:
    """How many recordings a shard has, and what the look that found it passed over."""
    tracks, rows = load_shard(root, shard).tracks, list(passed_over(root))
    found: dict[str, Any] = {
        "recordings": len(tracks),
        "copies": sum(track.copy_of is not None for track in tracks),
        "passed_over": len(rows),
    }
    if rows:
        found["passed_over_first"] = "; ".join(f"{row.source}: {row.reason}" for row in rows[:MAX_NAMED])
    return found


def _event(asset: str, partition: str, version: str, metadata: dict[str, Any] | None = None) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        dg.AssetKey.from_user_string(asset), partition=partition, tags={_VERSION_TAG: version}, metadata=metadata
    )


def _name(partitions: dg.DynamicPartitionsDefinition) -> str:
    assert partitions.name is not None
    return partitions.name
