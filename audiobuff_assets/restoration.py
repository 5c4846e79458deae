"""Group `restoration`: damaged files dropped into the inbox come out repaired by the champion."""

from typing import Any, NamedTuple

import dagster as dg

from audiobuff_assets.results import OWNERS, TAGS, key, materialized
from audiobuff_core.files import join, read_bytes
from audiobuff_core.seeding import digest
from resources.compute import Compute
from resources.inbox import inbox_file
from resources.partitions import INBOX_FILES
from resources.storage import Storage

inbox = dg.AssetSpec(
    key("restoration/inbox"),
    group_name="restoration",
    partitions_def=INBOX_FILES,
    kinds={"file"},
    description=(
        "Damaged recordings that wait for repair. **One partition** is a file, keyed by its name and content hash.\n\n"
        "**Bytes**: `inbox/` under the data root; drop files there. Nothing runs here: the sensor "
        "`register_new_audio` adds the partitions."
    ),
    owners=OWNERS,
    tags=TAGS,
)


class Restored(NamedTuple):
    """A repaired file."""

    path: str
    digest: str


@dg.asset(
    key=key("restoration/restored"),
    group_name="restoration",
    deps=[inbox, key("model/champion")],
    partitions_def=INBOX_FILES,
    pool="gpu",
    kinds={"pytorch", "file"},
    code_version="1",
    owners=OWNERS,
    tags=TAGS,
)
def restored(context: dg.AssetExecutionContext, storage: Storage, compute: Compute) -> dg.MaterializeResult[Any]:
    """A dropped file after the champion, with the same rate, channels and length.

    **One partition** is a file of the inbox. **Bytes**: `restored/<key>.wav`, and `<key>.wav.json` (what was done).

    **Guarded by** `finite_and_same_length` (blocks).
    """
    from audiobuff_assets.pictures import spectrograms
    from audiobuff_core.evaluation.release import load_champion
    from audiobuff_core.inference.restore_file import restore_file

    source = inbox_file(storage.url, context.partition_key)
    restorer = compute.restorer(join(storage.url, "checkpoints", load_champion(storage.url).checkpoint))
    output = join(storage.url, "restored", f"{context.partition_key}.wav")
    report = restore_file(source, output, restorer)
    made = Restored(path=output, digest=digest(read_bytes(output).hex()))
    pictures = spectrograms({"damaged": source, "restored": output})
    return materialized(
        context, made, options={}, metadata={"source": source, "seconds": report["seconds"], "spectrograms": pictures}
    )
