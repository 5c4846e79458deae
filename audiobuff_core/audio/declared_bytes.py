"""How large a file says that it is: decoders read what is left of one that was cut off, and say nothing."""

from pathlib import Path
from typing import Literal

HEAD_BYTES = 128
W64_MARK = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
MATROSKA_MARK, SEGMENT_MARK = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
# With the version after it: four letters may stand in the sound by chance.
OGG_MARK, OGG_HEAD, LARGEST_OGG_PAGE = b"OggS\x00", 27, 65_307


def declared_bytes(place: Path) -> int | None:
    """The size that a WAV (RF64 and W64, too), AIFF, AU, Ogg, Matroska or WebM file says that it has; None: unknown.

    Programs that can't go back to the header leave it open. An Ogg file says so of its last page.
    """
    with place.open("rb") as file:
        head = file.read(HEAD_BYTES)
    form = head[:4] + head[8:12]
    orders: dict[bytes, Literal["little", "big"]] = {b"RIFFWAVE": "little", b"FORMAIFF": "big", b"FORMAIFC": "big"}
    if form in orders:
        size = int.from_bytes(head[4:8], orders[form])
        return size + 8 if 0 < size < 0x7FFFFF00 else None
    if form in (b"RF64WAVE", b"BW64WAVE") and head[12:16] == b"ds64":
        return _known(int.from_bytes(head[20:28], "little"), 8)
    if head[:16] == W64_MARK:
        return _known(int.from_bytes(head[16:24], "little"), 0)
    if head[:4] == b".snd":
        start, size = (int.from_bytes(head[place : place + 4], "big") for place in (4, 8))
        return None if size == 0xFFFFFFFF else _known(size, start)
    if head.startswith(OGG_MARK):
        return _end_of_last_page(place)
    return _end_of_segment(head) if head[:4] == MATROSKA_MARK else None


def _known(size: int, more: int) -> int | None:
    return size + more if 0 < size < 1 << 62 else None


def _end_of_last_page(place: Path) -> int | None:
    """Where the last page of an Ogg file ends, or would end, by its own table of lengths."""
    found = place.stat().st_size
    with place.open("rb") as file:
        file.seek(max(0, found - LARGEST_OGG_PAGE - len(OGG_MARK)))
        first, tail = file.tell(), file.read()
    start = tail.rfind(OGG_MARK)
    if start < 0:
        return None
    page = tail[start:]
    if len(page) < OGG_HEAD or len(page) < OGG_HEAD + page[OGG_HEAD - 1]:
        return found + OGG_HEAD  # not even its table is whole
    lengths = page[OGG_HEAD : OGG_HEAD + page[OGG_HEAD - 1]]
    return first + start + OGG_HEAD + len(lengths) + sum(lengths)


def _end_of_segment(head: bytes) -> int | None:
    """Where the one segment of a Matroska file ends: the element after the file's header."""
    header = _element_size(head, len(MATROSKA_MARK))
    if header is None:
        return None
    start = header[0] + header[1]
    segment = _element_size(head, start + len(SEGMENT_MARK))
    if head[start : start + len(SEGMENT_MARK)] != SEGMENT_MARK or segment is None:
        return None
    return segment[0] + segment[1]


def _element_size(head: bytes, place: int) -> tuple[int, int] | None:
    """Where the content of an EBML element starts whose size stands at `place`, and how long it is; None: unknown.

    The number of leading zero bits says how many bytes the size has; all ones: not known.
    """
    if place >= len(head) or head[place] == 0:
        return None
    width = 9 - head[place].bit_length()
    size = int.from_bytes(head[place : place + width], "big") - (1 << 7 * width)
    return None if size == (1 << 7 * width) - 1 else (place + width, size)
