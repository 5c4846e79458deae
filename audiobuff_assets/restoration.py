"""Group `restoration`: damaged files dropped into the inbox come out repaired by the champion."""

from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
from pydantic import Field

from audiobuff_assets.columns import REPAIRED, columns
from audiobuff_assets.results import OWNERS, TAGS, key, materialized
from audiobuff_core.errors import InvalidAudio
from audiobuff_core.files import join
from audiobuff_core.seeding import digest
from resources.compute import Compute
from resources.inbox import inbox_file, set_aside
from resources.partitions import INBOX_FILES
from resources.retries import RETRIES, retried
from resources.storage import Storage

inbox = dg.AssetSpec(
    key("restoration/inbox"),
    group_name="restoration",
    partitions_def=INBOX_FILES,
    kinds={"file"},
    description=(
        "Damaged recordings that wait for repair. **One partition** is a file, keyed by its name and content hash.\n\n"
        "**Bytes**: `inbox/` under the data root, or the folder or URL AUDIOBUFF_INBOX; drop files there. Nothing runs "
        "here: the sensors `register_new_audio` and `restore_dropped_files` add the partitions."
    ),
    owners=OWNERS,
    tags=TAGS,
)


class Restored(NamedTuple):
    """A repaired file."""

    path: str
    digest: str


class RestoreConfig(dg.Config):
    """How a dropped file is repaired."""

    preset: str = Field(default="balanced", description="`fast`, `balanced` or `best`: more solver steps, more time.")
    strength: float = Field(default=1.0, ge=0, le=1, description="0 changes nothing, 1 is the restored recording.")
    keep_below_hz: float | None = Field(default=None, description="Leave the band below so many Hz as it is.")


@dg.asset(
    key=key("restoration/restored"),
    metadata=columns(REPAIRED),
    group_name="restoration",
    deps=[inbox, key("model/champion")],
    partitions_def=INBOX_FILES,
    pool="gpu",
    kinds={"pytorch", "file"},
    code_version="2",
    owners=OWNERS,
    tags=TAGS,
    retry_policy=RETRIES,
)
@retried
def restored(
    context: dg.AssetExecutionContext, config: RestoreConfig, storage: Storage, compute: Compute
) -> dg.MaterializeResult[Any]:
    """A dropped file after the champion, with the same format, rate, channels and length.

    **One partition** is a file of the inbox. What can't be used is moved to `refused/` in the inbox, with the reason
    in a text beside it, and fails here.

    **Bytes**: `restored/<key>` with the suffix of the dropped file, and `<file>.json`, the report of what was done.

    **Guarded by** `finite_and_same_length` (blocks).
    """
    from audiobuff_assets.pictures import spectrograms
    from audiobuff_core.audio.output_format import FORMATS
    from audiobuff_core.evaluation.release import load_champion
    from audiobuff_core.inference.restore_file import Extras
    from audiobuff_core.inference.restore_place import restore_place
    from audiobuff_core.inference.settings import RestoreSettings

    source = inbox_file(storage.url, context.partition_key)
    suffix = Path(source).suffix.lower()
    output = join(storage.url, "restored", context.partition_key + (suffix if suffix in FORMATS else ".wav"))
    place = join(storage.url, "checkpoints", load_champion(storage.url).checkpoint)
    restorer = compute.restorer(place)
    extras = Extras(model_place=place, model_choice="champion")
    try:
        report = restore_place(source, output, restorer, RestoreSettings(**config.model_dump()), extras)
    except InvalidAudio as error:
        moved = set_aside(storage.url, source, context.partition_key, str(error))
        raise InvalidAudio(f"{error}. It was moved to {moved}") from error
    made = Restored(path=output, digest=digest(report["output_sha256"]))
    return materialized(
        context,
        made,
        options=config.model_dump(),
        metadata={
            "source": source,
            "report": dg.MetadataValue.path(f"{output}.json"),
            "seconds": report["seconds"],
            "repairs": len(report["repairs"]),
            "spectrograms": spectrograms({"damaged": source, "restored": output}),
        },
    )
