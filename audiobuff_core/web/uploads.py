"""Taking a recording from a browser: its name, its size, its length."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

from audiobuff_core.audio.decoders import open_source
from audiobuff_core.audio.read import readable
from audiobuff_core.errors import InvalidAudio
from audiobuff_core.files import printable
from audiobuff_core.web.limits import Limits

LONGEST_NAME = 120
DRAINED = 4


def safe_name(name: str) -> str:
    """The last part of `name`, printable and short, with its suffix; `recording` if nothing is left."""
    last = printable(re.split(r"[/\\]", name)[-1]).strip(" .")
    suffix = Path(last).suffix
    return (last[: LONGEST_NAME - len(suffix)].removesuffix(suffix) + suffix) or "recording"


def upload_path(folder: Path, name: str) -> Path:
    """Where an upload lies: of its name only the suffix is taken, if it is a plain one."""
    suffix = Path(name).suffix.lower()
    return folder / ("upload" + (suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""))


async def receive(chunks: AsyncIterator[bytes], place: Path, name: str, limits: Limits) -> None:
    """Write what comes to `place`, as long as it is not too much.

    What is too much is read on a while and thrown away: a browser that can't finish sending does not hear the answer.

    Raises:
        InvalidAudio: it is larger than allowed, or nothing.
    """
    size = 0
    with place.open("wb") as file:
        async for chunk in chunks:
            size += len(chunk)
            if size > DRAINED * limits.max_bytes:
                break
            if size <= limits.max_bytes:
                file.write(chunk)
    if size > limits.max_bytes:
        raise InvalidAudio(
            f"{name} is larger than {limits.max_megabytes:g} MB: send a part of it, or use `audiobuff restore` instead"
        )
    if size == 0:
        raise InvalidAudio(f"{name} is empty (0 bytes): expected an audio file")


def check_length(place: Path, name: str, limits: Limits) -> None:
    """Refuse what is no audio or longer than allowed, whatever its header says; decodes no more than that.

    Raises:
        InvalidAudio: saying which.
    """
    longest = 60 * limits.max_minutes
    with readable(str(place)), open_source(name, place) as source:
        seconds = source.declared_seconds or 0.0
        if seconds <= longest:
            seconds = 0.0
            for block in source.blocks:
                seconds += block.shape[1] / source.sample_rate
                if seconds > longest:
                    break
    if seconds > longest:
        raise InvalidAudio(
            f"{name} is longer than {limits.max_minutes:g} min: send a part, or use `audiobuff restore` instead"
        )
