"""Fetching a file so that it is whole or absent."""

import errno
import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

import fsspec

from audiobuff_core.errors import AudioBuffError, DataMissing, OutputNotWritable
from audiobuff_core.files import atomic_path, is_local, local_path
from audiobuff_core.progress import share_bar

BLOCK_BYTES: Final = 1 << 20


class DownloadFailed(AudioBuffError, OSError):
    """A download that broke off, or whose bytes are not those that were announced."""


def download(url: str, destination: str, *, sha256: str | None = None) -> str:
    """Copy `url` to `destination` (each a path or any fsspec URL); returns the SHA-256 of what came.

    The bytes go to a temporary name, are compared with the announced size and hash, and are then renamed; after any
    failure nothing lies at `destination` that was not there before.

    Raises:
        DataMissing: there is nothing at `url`.
        DownloadFailed: it broke off, or size or hash differ from what was announced.
        OutputNotWritable: the destination is read-only or full.
    """
    if is_local(destination):
        with atomic_path(local_path(destination)) as temporary:
            return _fetch(url, temporary, sha256)
    with tempfile.TemporaryDirectory(prefix="audiobuff-") as folder:
        whole = Path(folder) / f"whole{Path(destination).suffix}"
        with atomic_path(whole) as temporary:
            found = _fetch(url, temporary, sha256)
        filesystem, path = fsspec.core.url_to_fs(destination)
        try:
            filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
            filesystem.put_file(str(whole), path)
        except Exception as error:  # each filesystem has its own errors
            shown = " ".join(str(error).split())[:200] or type(error).__name__
            raise OutputNotWritable(
                f"Can't write {destination} ({shown}): check the address and your credentials, or choose another place."
            ) from error
    return found


def _fetch(url: str, temporary: Path, sha256: str | None) -> str:
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
        expected_bytes = filesystem.info(path).get("size")
        # Over HTTP in one stream: not every server serves ranges.
        options = {"block_size": 0} if url.startswith("http") else {}
        with filesystem.open(path, "rb", **options) as source:
            move = share_bar(f"Fetching {url.partition('?')[0].rsplit('/', 1)[-1]}")
            found, num_bytes = _copy(source, temporary, lambda got: move(got / expected_bytes if expected_bytes else 0))
    except FileNotFoundError as error:
        cause = error.__cause__  # fsspec reports a server that can't be reached as a file that is not there
        if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError):
            raise DownloadFailed(f"Could not fetch {url} ({cause}): nothing was kept; look at the network") from error
        raise DataMissing(f"Nothing at {url}: look at the address, or fetch it by hand and name its path") from error
    except Exception as error:  # each filesystem has its own errors for a connection that fails
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # the disk's, which the caller names
        shown = " ".join(str(error).split())[:200] or type(error).__name__
        raise DownloadFailed(f"Could not fetch {url} ({shown}): nothing was kept; run it again") from error
    if expected_bytes is not None and num_bytes != expected_bytes:
        raise DownloadFailed(
            f"{url} broke off after {num_bytes} of {expected_bytes} bytes: nothing was kept; run it again"
        )
    if sha256 is not None and found != sha256:
        raise DownloadFailed(
            f"{url} has SHA-256 {found[:16]}..., expected {sha256[:16]}...: it was damaged or replaced, and not kept"
        )
    if not is_readable(temporary):
        raise DownloadFailed(f"{url} is no whole {temporary.suffix} file: nothing was kept; look at the address")
    if sha256 is None and temporary.suffix in (".pth", ".pt") and (part := _damaged_part(temporary)):
        raise DownloadFailed(f"{url} came damaged (its part {part}): nothing was kept; run it again")
    return found


def _damaged_part(archive: Path) -> str | None:
    """The first part of a .pth that is not what its checksum says: where no hash is announced, that is all there is."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.testzip()
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        return str(error)


def is_readable(path: Path) -> bool:
    """Whether a .pth, .safetensors or .json file is one, as far as its frame tells; True for other kinds."""
    if path.suffix in (".pth", ".pt"):
        return zipfile.is_zipfile(path)  # its directory is at the end: a truncated one has none
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "numpy"):
                return True
        except (SafetensorError, OSError):
            return False
    if path.suffix == ".json":
        try:
            json.loads(path.read_bytes())
        except ValueError:
            return False
    return True


def _copy(source: IO[Any], temporary: Path, on_bytes: Callable[[int], None]) -> tuple[str, int]:
    hasher, num_bytes = hashlib.sha256(), 0
    with temporary.open("wb") as target:
        while block := source.read(BLOCK_BYTES):
            hasher.update(block)
            num_bytes += len(block)
            target.write(block)
            on_bytes(num_bytes)
    return hasher.hexdigest(), num_bytes
