"""Writing audio in the very format of another file."""

import errno
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile

from audiobuff_core.audio.read import decode_ffmpeg
from audiobuff_core.audio.recording import CODINGS, Recording, Stored, as_floats, blocks_of
from audiobuff_core.audio.tags import copy_tags
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidAudio, InvalidConfig, OutputNotWritable
from audiobuff_core.files import atomic_path

LARGEST_PEAK = 0.9999
FLOATING = ("FLOAT", "DOUBLE")
BLOCK_SAMPLES = 65_536
# FFmpeg's encoder for what it decoded.
ENCODERS: Final = {"MPEG_LAYER_III": "libmp3lame", "mp3": "libmp3lame", "opus": "libopus", "vorbis": "libvorbis"}
# kbit/s of stereo at 44.1 kHz by Vorbis quality 0, .1, ..., 1 (Xiph's nominal rates)
_VORBIS_KBITS: Final = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)
_SYSTEM_ERROR: Final = 2  # libsndfile's SF_ERR_SYSTEM: the operating system took no more
_MP3_BITS: Final = 320_000  # of what was no MP3
_AAC_BITS_A_CHANNEL: Final = 96_000
# Of a recording that does not say where its channels are; by any name of as many, they keep their order. Six and eight
# have names without a channel for the bass alone, of which AAC keeps nothing else.
_NAMES: Final = ("mono", "stereo", "3.0", "4.0", "5.0", "hexagonal", "6.1", "octagonal")
_UNNAMED: Final = {f"{channels} channels": name for channels, name in enumerate(_NAMES, start=1)}
# FFmpeg's names of the kinds of film that can be copied packet by packet.
_FILMS: Final = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")


def check_format(source: Path, destination: Path) -> None:
    """Refuse a destination of another kind of file than the source.

    Raises:
        InvalidConfig: the suffixes differ.
    """
    if source.suffix.lower() != destination.suffix.lower():
        raise InvalidConfig(
            f"Output {destination} is of another format than {source}: expected a name that ends in {source.suffix!r}"
        )


def write_in_format_of(source: Path, destination: Path, waveform: Waveform) -> float:
    """Write `waveform` with the container and coding of `source`; the gain that made it fit.

    Formats of whole numbers and lossy ones can't hold more than full scale: there the whole is scaled by the least
    that fits. A video keeps its pictures and subtitles.

    Raises:
        InvalidAudio: the format can be read and not written.
        OutputNotWritable: the place is read-only or full.
    """
    try:
        facts = soundfile.info(str(source))
    except soundfile.LibsndfileError:
        codec = decode_ffmpeg(source)[2]
        like = Recording(source, waveform.samples, waveform.sample_rate, "", codec, 0, False)
    else:
        kind, bits = CODINGS.get(facts.subtype, (np.float32, 0))
        shape = np.empty((waveform.channels, 0), kind)
        exact = facts.subtype in CODINGS
        like = Recording(source, shape, waveform.sample_rate, facts.format, facts.subtype, bits, exact)
    fitting, gain = (waveform, 1.0) if like.has_headroom else _fitting(waveform)
    write_like(like, destination, like.to_stored(fitting.samples))
    return gain


def _fitting(waveform: Waveform) -> tuple[Waveform, float]:
    peak = float(np.abs(waveform.samples).max())
    gain = min(1.0, LARGEST_PEAK / peak) if peak > 0 else 1.0
    return (waveform if gain == 1.0 else waveform.scaled(gain)), gain


def write_like(source: Recording, destination: Path, stored: Stored, *, tags: bool = True) -> None:
    """Write `stored` [channels, samples] as a file of the kind of `source`, with its tags and cover art.

    Raises:
        InvalidAudio: the format can be read and not written.
        OutputNotWritable: the place is read-only or full; nothing is left there.
    """
    with atomic_path(destination) as temporary:
        # libsndfile's MP3s of low bit rates begin 1105 samples late, and are longer.
        if source.format and source.format != "MP3":
            _by_libsndfile(source, destination, temporary, blocks_of(stored, BLOCK_SAMPLES), stored.shape[1])
        else:
            _by_ffmpeg(source, destination, temporary, stored)
        if tags:
            copy_tags(source.path, temporary)


def write_blocks(source: Recording, destination: Path, blocks: Iterable[Stored], num_samples: int) -> None:
    """Write successive `blocks` [channels, samples], `num_samples` together, as libsndfile's format of `source`.

    Without tags; the blocks are made as they are needed, so that memory does not depend on the length.

    Raises:
        InvalidAudio, OutputNotWritable: as `write_like`.
    """
    with atomic_path(destination) as temporary:
        _by_libsndfile(source, destination, temporary, blocks, num_samples)


def _by_libsndfile(
    source: Recording, destination: Path, temporary: Path, blocks: Iterable[Stored], num_samples: int
) -> None:
    try:
        with soundfile.SoundFile(
            temporary, "w", source.sample_rate, source.channels, source.subtype, None, source.format,
            **_effort(source),
        ) as file:  # fmt: skip
            for block in blocks:
                file.write(np.ascontiguousarray(block.T))
        written = soundfile.info(str(temporary)).frames
    except AssertionError as error:  # how soundfile says that libsndfile wrote less than it was given
        raise OutputNotWritable(
            f"Can't write {destination}: the disk is full. Free space or choose another."
        ) from error
    except (soundfile.LibsndfileError, ValueError, TypeError) as error:
        if getattr(error, "code", None) == _SYSTEM_ERROR:
            raise _full(destination) from error
        raise InvalidAudio(
            f"{destination}: {source.format} {source.subtype} can't be written ({error}); convert it first"
        ) from error
    if source.is_exact and written != num_samples:
        raise _full(destination)
    if written != num_samples:  # it holds whole blocks alone
        raise InvalidAudio(
            f"{destination}: {source.format} {source.subtype} would hold {written} samples instead of {num_samples}; "
            "name another format, such as .flac"
        )


def _full(destination: Path) -> OutputNotWritable:
    return OutputNotWritable(f"Can't write {destination}: the disk is full. Free space or choose another place.")


def _effort(source: Recording) -> dict[str, Any]:
    """Soundfile's options that bring a lossy format to the bit rate of the source; libsndfile's own elsewhere."""
    if source.is_exact or not source.num_samples:
        return {}
    kbits = source.path.stat().st_size * 8 / 1000 / source.duration_seconds
    if source.subtype == "VORBIS":
        as_stereo = kbits * 2 / source.channels * 44_100 / source.sample_rate
        quality = np.interp(as_stereo, _VORBIS_KBITS, np.linspace(0, 1, len(_VORBIS_KBITS)))
        return {"compression_level": float(1 - quality)}
    return {}


def _by_ffmpeg(source: Recording, destination: Path, temporary: Path, stored: Stored) -> None:
    """By FFmpeg, which chooses the container by the suffix; codec, bit rate and tags are the source's."""
    import av

    name = ENCODERS.get(source.subtype, source.subtype)
    is_same = source.path.suffix.lower() == destination.suffix.lower()
    advice = f"convert {source.path} to WAV first" if is_same else "name another format, such as .flac"
    try:
        with av.open(str(source.path)) as old, av.open(str(temporary), "w") as made:
            heard = old.streams.audio[0]
            context = heard.codec_context
            layout = _UNNAMED.get(context.layout.name, context.layout)
            stream: Any = made.add_stream(name, rate=source.sample_rate, layout=layout)
            if ENCODERS.get(context.codec.canonical_name, context.codec.canonical_name) == name:
                if context.bit_rate:
                    stream.bit_rate = context.bit_rate
                if context.format.name in {one.name for one in stream.codec_context.codec.audio_formats or ()}:
                    stream.format = context.format  # ALAC keeps its depth
            elif source.subtype == "MPEG_LAYER_III":
                stream.bit_rate = _MP3_BITS
            elif source.subtype == "aac":
                stream.bit_rate = _AAC_BITS_A_CHANNEL * source.channels
            stream.metadata.update(heard.metadata)
            made.metadata.update(old.metadata)
            shown = [one for one in old.streams if is_same and _is_shown(one)]
            if shown and old.format.name not in _FILMS:
                raise InvalidAudio(f"{destination}: pictures are kept in MP4 and Matroska alone; convert {source.path}")
            late = max(0.0, float((heard.start_time or 0) * (heard.time_base or 0))) if shown else 0.0
            frames = _frames(as_floats(stored), source.sample_rate, layout, late_seconds=late)
            _mux(made, stream, frames, old, shown)
    except InvalidAudio:  # a ValueError, too
        raise
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise _full(destination) from error
        kind = f"{name} of {source.channels} channel(s) at {source.sample_rate} Hz"
        raise InvalidAudio(f"{destination}: {kind} can't be written ({error}); {advice}") from error


def _is_shown(stream: Any) -> bool:  # noqa: ANN401 - untyped av
    """Whether `stream` is a film or its subtitles: covers are among the tags."""
    from av.stream import Disposition

    return stream.type in ("video", "subtitle") and not stream.disposition & Disposition.attached_pic


def _mux(made: Any, sound: Any, frames: Iterator[Any], old: Any, shown: list[Any]) -> None:  # noqa: ANN401
    """Write `frames` as the stream `sound` of `made` and, each in its time, the packets of `shown` as they are."""
    copies = {one.index: made.add_stream_from_template(one) for one in shown}
    frame = next(frames)
    for packet in old.demux(shown) if shown else ():
        if packet.dts is None:  # the last of each stream is empty
            continue
        while frame is not None and frame.time <= packet.dts * packet.time_base:
            made.mux(sound.encode(frame))
            frame = next(frames)
        packet.stream = copies[packet.stream.index]
        made.mux(packet)
    while frame is not None:
        made.mux(sound.encode(frame))
        frame = next(frames)
    made.mux(sound.encode(None))


def _frames(samples: Any, sample_rate: int, layout: Any, *, late_seconds: float) -> Iterator[Any]:  # noqa: ANN401
    """Frames of samples [channels, samples], the first at `late_seconds`, and None after them."""
    import av

    begin = round(late_seconds * sample_rate)
    for first in range(0, samples.shape[1], BLOCK_SAMPLES):
        block = np.ascontiguousarray(samples[:, first : first + BLOCK_SAMPLES].T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, begin + first, Fraction(1, sample_rate)
        yield frame
    yield None
