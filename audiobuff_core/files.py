"""Files that are whole or absent, on disk or behind any fsspec URL.

On disk a file is written under a temporary name, flushed to the device and renamed. Object stores publish an
object when its upload ends, so there the write itself is atomic.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec

from audiobuff_core.errors import DataMissing, OutputNotWritable

COPIED_AT_ONCE = 1 << 20


def is_local(url: str) -> bool:
    """Whether `url` is a path of this machine."""
    return "://" not in url or url.startswith("file://")


def local_path(url: str) -> Path:
    """The path behind a local `url`."""
    return Path(url.removeprefix("file://"))


def printable(path: str) -> str:
    """`path` as one line of text: what can't be printed, such as a line break, is written as an escape."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in path)


def join(root: str, *parts: str) -> str:
    """`root` and `parts` joined by slashes; refuses parts that leave the root.

    Raises:
        ValueError: a part is absolute or climbs with `..`.
    """
    for part in parts:
        if part.startswith("/") or ".." in part.split("/"):
            raise ValueError(f"Path part {part!r} leaves its root {root!r}: use a relative path without '..'")
    return "/".join([root.rstrip("/"), *parts])


@contextmanager
def atomic_path(destination: str | Path) -> Iterator[Path]:
    """A temporary path beside local `destination`, renamed to it when the block ends without an error.

    The temporary name keeps the suffix, as libraries choose formats by it.

    Raises:
        OutputNotWritable: the folder can't be made or written, or the disk is full.
    """
    final = Path(destination)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{final.stem}-", suffix=f".part{final.suffix}", dir=final.parent)
        os.close(handle)
    except OSError as error:
        raise OutputNotWritable(f"Can't write {final}: {error.strerror or error}. Choose another place.") from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(final)
        _sync_folder(final.parent)
    except OSError as error:
        if isinstance(error, OutputNotWritable) or error.errno is None:
            raise
        raise OutputNotWritable(
            f"Can't write {final}: {error.strerror}. Free space or choose another place."
        ) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(url: str | Path, data: bytes) -> None:
    """Write `data` to a path or fsspec URL, whole or not at all."""
    address = str(url)
    if is_local(address):
        with atomic_path(local_path(address)) as temporary:
            temporary.write_bytes(data)
        return
    filesystem, path = fsspec.core.url_to_fs(address)
    filesystem.pipe_file(path, data)


@contextmanager
def local_copy(url: str) -> Iterator[Path]:
    """The file at `url` as one on this machine: itself, or a copy that is removed when the block ends.

    Raises:
        FileNotFoundError: there is nothing there.
    """
    if is_local(url):
        yield local_path(url)
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / ("copy" + Path(url).suffix)
        with fsspec.open(url, "rb") as remote, place.open("wb") as copy:
            shutil.copyfileobj(remote, copy, COPIED_AT_ONCE)
        yield place


def read_bytes(url: str | Path) -> bytes:
    """The bytes at a path or fsspec URL.

    Raises:
        DataMissing: there is nothing there.
    """
    filesystem, path = fsspec.core.url_to_fs(str(url))
    try:
        return bytes(filesystem.cat_file(path))
    except FileNotFoundError as error:
        raise DataMissing(f"Nothing at {url}: an earlier step should have written it. Run that step again.") from error


def exists(url: str | Path) -> bool:
    """Whether a file, object or folder is at `url`."""
    filesystem, path = fsspec.core.url_to_fs(str(url))
    return bool(filesystem.exists(path))


def names_in(url: str | Path) -> list[str]:
    """The names of what lies in a folder, sorted; none if there is no such folder."""
    filesystem, path = fsspec.core.url_to_fs(str(url))
    filesystem.invalidate_cache()  # object stores remember listings
    if not filesystem.exists(path):
        return []
    return sorted(found.rstrip("/").rsplit("/", 1)[-1] for found in filesystem.ls(path, detail=False))


def delete(url: str | Path) -> None:
    """Remove the file or object at `url`, if there is one."""
    filesystem, path = fsspec.core.url_to_fs(str(url))
    if filesystem.exists(path):
        filesystem.rm_file(path)


def delete_folder(url: str | Path) -> None:
    """Remove the folder at `url` and all in it, if there is one."""
    filesystem, path = fsspec.core.url_to_fs(str(url))
    if filesystem.exists(path):
        filesystem.rm(path, recursive=True)


def write_json(url: str | Path, value: Any) -> None:  # noqa: ANN401
    """Write `value` as indented, key-sorted JSON; NaN is refused."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(url, (text + "\n").encode())


def read_json(url: str | Path) -> Any:  # noqa: ANN401
    """The JSON value at `url`.

    Raises:
        DataMissing: there is nothing there, or it is no JSON.
    """
    try:
        return json.loads(read_bytes(url))
    except json.JSONDecodeError as error:
        raise DataMissing(
            f"{url} is not whole JSON ({error}): delete it and run the step that writes it again."
        ) from error


def require_writable(destination: str | Path) -> None:
    """Try to write beside `destination`, before long work begins; the folder of a local one is made.

    Raises:
        OutputNotWritable: it can't be made or written.
    """
    address = str(destination)
    if not is_local(address):
        _require_writable_url(address)
        return
    folder = local_path(address).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputNotWritable(
            f"Can't write {destination}: {error.strerror or error}. Free space or choose another place."
        ) from error


def _require_writable_url(address: str) -> None:
    probe = f"{address.rpartition('/')[0]}/.writable"
    try:
        filesystem, path = fsspec.core.url_to_fs(probe)
        filesystem.pipe_file(path, b"")
        filesystem.rm_file(path)
    except Exception as error:  # every kind of store has its own errors
        raise OutputNotWritable(
            f"Can't write {address} ({type(error).__name__}: {' '.join(str(error).split())[:150]}): check the address "
            "and your credentials, or choose another place."
        ) from error
