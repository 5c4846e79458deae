"""A recording opened by the decoder that knows its format, block by block."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiobuff_core.audio.waveform import Samples
from audiobuff_core.errors import AudioCutOff, InvalidAudio

BLOCK_SAMPLES = 1 << 16
# Streams that say nowhere how long they are: FFmpeg guesses by the bit rate of the first frames.
WITHOUT_LENGTH = frozenset({"aac", "ac3", "dts", "eac3", "loas", "mp3"})


@dataclass(frozen=True, slots=True, eq=False)
class AudioSource:
    """An open recording.

    Attributes:
        sample_rate: in Hz.
        channels: number of channels.
        declared_seconds: how long its header says it is; None where it says nothing.
        blocks: float32 [channels, samples], one after the other, once. Taking one raises AudioCutOff where the file
            is damaged.
        codec: FFmpeg's name of the coding, where that decodes it.
    """

    sample_rate: int
    channels: int
    declared_seconds: float | None
    blocks: Iterator[Samples]
    codec: str = ""


@contextmanager
def open_source(name: str, place: Path) -> Iterator[AudioSource]:
    """The recording at `place`, called `name` in messages, by libsndfile, or by FFmpeg where that knows no such format.

    Raises:
        InvalidAudio: neither can open it.
    """
    with ExitStack() as stack:
        try:
            source = stack.enter_context(open_libsndfile(name, place))
        except soundfile.LibsndfileError:
            source = stack.enter_context(open_ffmpeg(name, place))
        yield source


@contextmanager
def open_libsndfile(name: str, place: Path) -> Iterator[AudioSource]:
    """WAV, FLAC, Ogg, Opus, MP3, AIFF and the like; LibsndfileError where it is none of them."""
    # An open file, not its name: libsndfile can't take every name that a file may have.
    with place.open("rb") as opened, soundfile.SoundFile(opened) as file:
        seconds = file.frames / file.samplerate if 0 < file.frames < 1 << 48 else None
        yield AudioSource(file.samplerate, file.channels, seconds, _libsndfile_blocks(name, file))


def _libsndfile_blocks(name: str, file: soundfile.SoundFile) -> Iterator[Samples]:
    seconds = 0.0
    while True:
        try:
            interleaved = file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioCutOff(
                f"{name} is damaged or cut off after {seconds:.3g} s ({error.error_string.strip(' .')}): "
                "copy or export it again"
            ) from error
        if not len(interleaved):
            return
        seconds += len(interleaved) / file.samplerate
        yield np.ascontiguousarray(interleaved.T)


@contextmanager
def open_ffmpeg(name: str, place: Path) -> Iterator[AudioSource]:
    """The first audio stream of AAC, M4A, video files and what else FFmpeg reads.

    Raises:
        InvalidAudio: it is no audio, or a video without any.
    """
    import av

    with place.open("rb") as opened, _our_errors(name), av.open(opened, "r") as container:
        if not container.streams.audio:
            raise InvalidAudio(f"{name} has no audio stream: expected an audio file")
        stream = container.streams.audio[0]
        known = stream.duration is not None and stream.time_base is not None
        known = known and container.format.name not in WITHOUT_LENGTH
        seconds = float(stream.duration * stream.time_base) if known else None  # type: ignore[operator]
        if not known and container.format.name.startswith("matroska") and not container.streams.video:
            seconds = None if container.duration is None else container.duration / av.time_base
        context = stream.codec_context
        blocks = _ffmpeg_blocks(name, container, stream)
        if seconds is not None and container.format.name.startswith("mov"):
            # The last AAC frame is padded; MP4 says how much of it was recorded.
            blocks = _first(blocks, round(seconds * context.sample_rate))
        codec = str(context.codec.canonical_name)
        yield AudioSource(context.sample_rate, context.channels, seconds, blocks, codec)


def _ffmpeg_blocks(name: str, container: Any, stream: Any) -> Iterator[Samples]:  # noqa: ANN401 - untyped av
    import av

    # Format alone: rate and layout stay the stream's. Interleaved, as PyAV reads beyond the end of eight planes.
    to_interleaved = av.AudioResampler(format="flt")
    shape = (stream.codec_context.sample_rate, stream.codec_context.channels)
    with _our_errors(name):
        for frame in container.decode(stream):
            for block in to_interleaved.resample(frame):
                found = (block.sample_rate, block.layout.nb_channels)
                if found != shape:
                    raise InvalidAudio(
                        f"{name} changes from {shape[1]} channels at {shape[0]} Hz to {found[1]} at {found[0]} Hz: "
                        "expected one format; export it again"
                    )
                interleaved = block.to_ndarray().astype(np.float32, copy=False).reshape(-1, shape[1])
                yield np.ascontiguousarray(interleaved.T)


def _first(blocks: Iterator[Samples], num_samples: int) -> Iterator[Samples]:
    left = num_samples
    for block in blocks:
        if left > 0:
            yield block[:, :left]
        left -= block.shape[1]


@contextmanager
def _our_errors(name: str) -> Iterator[None]:
    import av

    try:
        yield
    except av.FFmpegError as error:
        reason = str(error).split("]", 1)[-1].split(":", 1)[0].strip() or type(error).__name__
        raise InvalidAudio(
            f"{name} is not audio that can be decoded ({reason}): expected WAV, FLAC, Ogg, MP3, AAC or the like"
        ) from error
