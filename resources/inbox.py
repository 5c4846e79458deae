"""The folder that users drop damaged files into."""

import hashlib
import re
from pathlib import Path

from audiobuff_core.errors import DataMissing
from audiobuff_core.files import join, local_path

HIDDEN = (".", "_")


def inbox_folder(root: str) -> Path:
    """The inbox under a local `root`."""
    return local_path(join(root, "inbox"))


def inbox_files(root: str) -> dict[str, Path]:
    """The files that wait, by partition key `<name>-<8 hex of the bytes>`, in order of their names."""
    folder = inbox_folder(root)
    if not folder.is_dir():
        return {}
    found = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(HIDDEN))
    return {_key(path): path for path in found}


def inbox_file(root: str, key: str) -> str:
    """The path of the file with partition `key`.

    Raises:
        DataMissing: it is not there any more, or was changed.
    """
    files = inbox_files(root)
    if key not in files:
        raise DataMissing(f"No file {key} in {inbox_folder(root)}: it was moved or changed; drop it there again.")
    return str(files[key])


def _key(path: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)[:40] or "file"
    return f"{name}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"
