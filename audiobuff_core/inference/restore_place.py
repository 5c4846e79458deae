"""Restoring a file wherever it lies: a path or any fsspec URL in, and out."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import fsspec

from audiobuff_core.files import is_local, join, local_copy, local_path, write_json
from audiobuff_core.inference.restore_file import Extras, report_path, restore_file
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.inference.settings import RestoreSettings

COPIED_AT_ONCE = 1 << 20


def restore_place(
    source: str, destination: str, restorer: Restorer, settings: RestoreSettings, extras: Extras | None = None
) -> dict[str, Any]:
    """Restore the file at `source` into `destination`; the report, which is written last, as `<destination>.json`.

    Raises:
        AudioBuffError: as `restore_file`.
    """
    if is_local(source) and is_local(destination):
        return restore_file(local_path(source), local_path(destination), restorer, settings, extras=extras)
    with local_copy(source) as damaged, tempfile.TemporaryDirectory() as folder:
        repaired = Path(folder) / destination.rsplit("/", 1)[-1]
        report = restore_file(damaged, repaired, restorer, settings, extras=extras)
        with repaired.open("rb") as made, fsspec.open(destination, "wb") as remote:
            shutil.copyfileobj(made, remote, COPIED_AT_ONCE)
    report |= {"input": source, "output": destination}
    write_json(join(destination.rpartition("/")[0], report_path(repaired).name), report)
    return report
