"""Reading a `.pt` file without ever running what is in it."""

import errno
import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from audiobuff_core.errors import CheckpointNotFound, InvalidCheckpoint
from audiobuff_core.files import exists, is_local, local_path, read_bytes


def read_plain(url: str, *, lazily: bool = False) -> dict[str, Any]:
    """The content of the `.pt` file at a path or URL: a dict of tensors and primitives, on the CPU.

    Args:
        url: where it is.
        lazily: leave the tensors of a file of this machine where they are until someone looks at them.

    Raises:
        CheckpointNotFound: there is none.
        InvalidCheckpoint: it is truncated, no checkpoint, or holds pickled code, which is refused and never run.
    """
    if not exists(url) or (is_local(url) and not local_path(url).is_file()):
        raise CheckpointNotFound(f"No checkpoint at {url}: train one first or name another")
    try:
        # A file of this machine by its name: through memory it would be there twice, and these are gigabytes.
        source: Path | io.BytesIO = local_path(url) if is_local(url) else io.BytesIO(read_bytes(url))
        content = torch.load(source, map_location="cpu", weights_only=True, mmap=lazily and is_local(url))
    except (
        pickle.UnpicklingError,
        RuntimeError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        ValueError,
        LookupError,
    ) as error:
        raise InvalidCheckpoint(
            f"{url} is no whole checkpoint of plain tensors ({_reason(error)}): use another"
        ) from error
    if not isinstance(content, dict):
        raise InvalidCheckpoint(f"{url} holds a {type(content).__name__}, expected a checkpoint: use another")
    return content


def _reason(error: Exception) -> str:
    # PyTorch's own text tells how to switch the protection off, which nobody should read here.
    text = str(error)
    if found := re.search(r"GLOBAL (\S+)", text):
        return f"it holds pickled code, {found[1]}, which is refused and was not run"
    if isinstance(error, pickle.UnpicklingError):
        return "it holds pickled objects, which are refused, or is no checkpoint"
    is_cut_off = isinstance(error, EOFError) or (isinstance(error, OSError) and error.errno == errno.EINVAL)
    if is_cut_off or "central directory" in text or "negative seek" in text:  # a seek to before the beginning
        return "it is cut off or no checkpoint"
    return f"{type(error).__name__} {text.splitlines()[0] if text else ''}".strip()
