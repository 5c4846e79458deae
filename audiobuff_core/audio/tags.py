"""What a file says besides its samples (tags, cover art, cue points), carried over from another file byte for byte.

WAV and AIFF keep it in chunks, FLAC in metadata blocks, MP3 in ID3 tags around the stream, MP4 in the user data of its
last box. Ogg's comments are inside the stream, so that FFmpeg copies it page by page.
"""

import base64
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

# What the writer makes anew from the samples, or that describes the old ones.
_OWN_CHUNKS: Final = frozenset(
    {b"fmt ", b"data", b"fact", b"PEAK", b"COMM", b"SSND", b"FVER", b"JUNK", b"FLLR", b"PAD "}
)
_FLAC_STREAMINFO, _FLAC_SEEKTABLE, _FLAC_PADDING = 0, 3, 1
_COPY_BYTES: Final = 1 << 20


def copy_tags(source: Path, made: Path) -> None:
    """Give the file `made` what `source`, of the same kind, says besides its samples; other kinds are left alone."""
    with source.open("rb") as file:
        head = file.read(12)
    with made.open("rb") as file:
        new = file.read(12)
    if head[:4] == new[:4] == b"RIFF":
        _append_chunks(source, made, "<")
    elif head[:4] == new[:4] == b"FORM":
        _append_chunks(source, made, ">")
    elif new[:4] == b"fLaC":
        _replace_flac_blocks(source, made)
    elif head[4:8] == new[4:8] == b"ftyp":
        _replace_user_data(source, made)
    elif head[:4] == new[:4] == b"OggS":
        _copy_ogg_comments(source, made)
    elif made.suffix.lower() == ".mp3":
        _surround_by_id3(source, made)


def _chunks(file: BinaryIO, endian: str, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place of the content and size of each chunk of a RIFF or FORM file of `end` bytes."""
    place = 12
    while place + 8 <= end:
        file.seek(place)
        name, size = struct.unpack(f"{endian}4sI", file.read(8))
        yield name, place + 8, min(size, end - place - 8)
        place += 8 + size + size % 2


def _append_chunks(source: Path, made: Path, endian: str) -> None:
    with source.open("rb") as old, made.open("r+b") as new:
        for name, place, size in _chunks(new, endian, made.stat().st_size):
            if name == b"PEAK":  # has the time of writing in it, so that no two files would be alike
                new.seek(place - 8)
                new.write(struct.pack(f"{endian}4sI", b"JUNK", size) + bytes(size))
        new.seek(0, 2)
        if new.tell() % 2:
            new.write(b"\0")
        for name, place, size in _chunks(old, endian, source.stat().st_size):
            if name not in _OWN_CHUNKS:
                old.seek(place)
                new.write(struct.pack(f"{endian}4sI", name, size) + old.read(size) + bytes(size % 2))
        total = new.tell() - 8
        new.seek(4)
        new.write(struct.pack(f"{endian}I", total))


def _flac_blocks(file: BinaryIO) -> tuple[list[tuple[int, bytes]], int]:
    """Type and content of each metadata block of a FLAC stream, and where the audio begins."""
    start = _id3v2_size(file)
    file.seek(start)
    if file.read(4) != b"fLaC":
        return [], start
    blocks, last = [], False
    while not last:
        head = file.read(4)
        if len(head) < 4:
            break
        last, size = bool(head[0] & 0x80), int.from_bytes(head[1:], "big")
        blocks.append((head[0] & 0x7F, file.read(size)))
    return blocks, file.tell()


def _replace_flac_blocks(source: Path, made: Path) -> None:
    with source.open("rb") as file:
        told, _ = _flac_blocks(file)
    own = (_FLAC_STREAMINFO, _FLAC_SEEKTABLE, _FLAC_PADDING)
    carried = [block for block in told if block[0] not in own]
    if not carried:
        return
    with made.open("rb") as file:
        blocks, audio = _flac_blocks(file)
        kept = [block for block in blocks if block[0] in (_FLAC_STREAMINFO, _FLAC_SEEKTABLE)] + carried
        with _beside(made).open("wb") as new:
            new.write(b"fLaC")
            for index, (kind, content) in enumerate(kept):
                flag = 0x80 if index == len(kept) - 1 else 0
                new.write(bytes([flag | kind]) + len(content).to_bytes(3, "big") + content)
            file.seek(audio)
            shutil.copyfileobj(file, new, _COPY_BYTES)
    _beside(made).replace(made)


def _id3v2_size(file: BinaryIO) -> int:
    """Bytes of the ID3v2 tag at the beginning; 0 without one."""
    file.seek(0)
    head = file.read(10)
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    return 10 + size + (10 if head[5] & 0x10 else 0)


def _id3v1(file: BinaryIO) -> bytes:
    """The ID3v1 tag at the end, if there is one."""
    if file.seek(0, 2) < 128:
        return b""
    file.seek(-128, 2)
    tag = file.read(128)
    return tag if tag[:3] == b"TAG" else b""


def _surround_by_id3(source: Path, made: Path) -> None:
    with source.open("rb") as old:
        size = _id3v2_size(old)
        old.seek(0)
        before, after = old.read(size), _id3v1(old)
    if not before and not after:
        return
    with made.open("rb") as file:
        audio = _id3v2_size(file)
        with _beside(made).open("wb") as new:
            new.write(before)
            file.seek(audio)
            shutil.copyfileobj(file, new, _COPY_BYTES)
            new.write(after)
    _beside(made).replace(made)


def _copy_ogg_comments(source: Path, made: Path) -> None:
    import av

    with av.open(str(source)) as old:
        comments = dict(old.streams.audio[0].metadata)
        comments.pop("encoder", None)
        covers = [packet for packet in old.demux(old.streams.video) if packet.size] if old.streams.video else []
        if covers:
            comments["METADATA_BLOCK_PICTURE"] = _flac_picture(bytes(covers[0]), covers[0].stream)
    if not comments:
        return
    with av.open(str(made)) as old, av.open(str(_beside(made)), "w", format="ogg") as new:
        stream = new.add_stream_from_template(old.streams.audio[0])
        stream.metadata.update(comments)
        for packet in old.demux(audio=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    _beside(made).replace(made)


def _flac_picture(content: bytes, stream: Any) -> str:  # noqa: ANN401 - untyped av
    """A front cover as FLAC and Ogg hold it (RFC 9639, 8.8), in base64."""
    context = stream.codec_context
    kind = {"mjpeg": b"image/jpeg"}.get(context.name, f"image/{context.name}".encode())
    numbers = struct.pack(">IIIII", context.width, context.height, 24, 0, len(content))
    block = struct.pack(">II", 3, len(kind)) + kind + struct.pack(">I", 0) + numbers + content
    return base64.b64encode(block).decode()


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and size of each MP4 box in bytes [begin, end)."""
    while begin + 8 <= end:
        file.seek(begin)
        size, name = struct.unpack(">I4s", file.read(8))
        size = int.from_bytes(file.read(8), "big") if size == 1 else size or end - begin
        if size < 8:
            return
        yield name, begin, min(size, end - begin)
        begin += size


def _replace_user_data(source: Path, made: Path) -> None:
    """Works where the movie box ends the file, as FFmpeg leaves it: nothing behind it moves."""
    with source.open("rb") as old, made.open("r+b") as new:
        users = [box for box in _movie(old, source.stat().st_size) if box[0] == b"udta"]
        size = made.stat().st_size
        last = list(_boxes(new, 0, size))[-1]
        if not users or last[0] != b"moov":
            return
        content = b""
        for name, place, length in _movie(new, size):
            if name != b"udta":
                new.seek(place)
                content += new.read(length)
        for _, place, length in users:
            old.seek(place)
            content += old.read(length)
        new.seek(last[1])
        new.write(struct.pack(">I4s", 8 + len(content), b"moov") + content)
        new.truncate()


def _movie(file: BinaryIO, end: int) -> list[tuple[bytes, int, int]]:
    """The boxes inside the movie box."""
    for name, place, size in _boxes(file, 0, end):
        if name == b"moov":
            return list(_boxes(file, place + 8, place + size))
    return []


def _beside(made: Path) -> Path:
    return made.with_name(f"{made.stem}-tagged{made.suffix}")
