"""The damage of a training snapshot drawn anew: the same recordings and recipe, another draw.

`python -m audiobuff_core.data.redraw SNAPSHOT FOLDER NUMBER` is the process that training starts while it learns from
the draw before.
"""

import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import Final

from audiobuff_core.data.damage import degrade_shard, load_planned, plan_shard
from audiobuff_core.data.extraction import STREAMS, extract_shard
from audiobuff_core.data.pristine import borrow_recordings
from audiobuff_core.data.snapshot import Snapshot, SnapshotItem, load_snapshot, make_snapshot
from audiobuff_core.errors import AudioBuffError, StoreMismatch
from audiobuff_core.files import exists, join, read_json, write_json
from audiobuff_core.seeding import numpy_generator

DRAWN_NAME: Final = "drawn.json"
WATCH_SECONDS = 2.0


def draw_again(snapshot_url: str, folder: str, number: int) -> Snapshot:
    """Draw `number` (1, 2, ...) of the damage of a snapshot, as a store in `folder` that borrows the recordings.

    Cut off, it goes on after the last file that it finished. Which damage it is depends on the seed that the snapshot's
    store was planned with, and on `number`.

    Raises:
        DataMissing: the plan or the recordings of the snapshot's store are gone.
        StoreMismatch: they are no longer those of the snapshot.
        OutputNotWritable: `folder` is read-only or full.
    """
    known = load_snapshot(snapshot_url)
    borrow_recordings(folder, known.root)
    for shard in known.shards:
        plan = load_planned(known.root, shard)
        seed = int(numpy_generator("draw again", plan.seed, number).integers(2**31))
        plan_shard(folder, shard, recipe=plan.recipe, variants=plan.variants, seed=seed)
        degrade_shard(folder, shard)
        for stream in STREAMS:
            extract_shard(folder, shard, stream, encoders=known.encoders)
    made = make_snapshot(folder, list(known.shards), encoders=known.encoders)
    if [_essence(item) for item in made.items] != [_essence(item) for item in known.items]:
        raise StoreMismatch(
            f"The recordings, variants or splits in {known.root} are no longer those of snapshot {snapshot_url}: "
            "make a new snapshot of them (audiobuff prepare does), or train without --fresh_every"
        )
    made_name = join("snapshots", made.path.rsplit("/", 1)[-1])
    write_json(join(folder, DRAWN_NAME), {"of": known.digest, "snapshot": made_name})
    return made


def _essence(item: SnapshotItem) -> tuple[object, ...]:
    """What two draws of one item have in common."""
    return item.track_id, item.audio_hash, item.variant, item.split, item.num_frames


def load_drawn(known: Snapshot, folder: str) -> Snapshot | None:
    """The draw of the damage of `known` in `folder`; None until it is whole, or if it is of another snapshot."""
    place = join(folder, DRAWN_NAME)
    drawn = read_json(place) if exists(place) else {}
    return load_snapshot(join(folder, drawn["snapshot"])) if drawn.get("of") == known.digest else None


def main(argv: Sequence[str]) -> int:
    """Draw as `argv` says; 0, or 1 after an error (one line on standard error), or at once when its parent is gone."""
    snapshot_url, folder, number = argv
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        draw_again(snapshot_url, folder, int(number))
    except AudioBuffError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)  # everything that is finished is on disk


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
