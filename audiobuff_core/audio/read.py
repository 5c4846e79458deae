"""Reading audio of any common format."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.errors import AudioNotFound, DataMissing, InvalidAudio
from audiobuff_core.files import is_local, local_path, read_bytes


def read_audio(path: str | Path) -> Waveform:
    """The whole recording at `path`, a local path or an fsspec URL, at its own rate with its own channels.

    libsndfile reads WAV, FLAC, Ogg, MP3, AIFF and the like; what it refuses goes to FFmpeg (AAC, M4A, video files).

    Raises:
        AudioNotFound: there is no such file.
        InvalidAudio: the file is empty, no audio, has no samples, or has NaN or infinite ones.
    """
    data = file_bytes(str(path))
    decoded = _decode_libsndfile(data)
    samples, sample_rate = decode_ffmpeg(data, path)[:2] if decoded is None else decoded
    if samples.shape[1] == 0:
        raise InvalidAudio(f"{path} holds no samples: expected at least one; export it again")
    try:
        return Waveform(samples, sample_rate)
    except InvalidAudio as error:
        raise InvalidAudio(f"{path}: {error}") from error


def file_bytes(address: str, limit: int = -1) -> bytes:
    """The bytes at `address`, or the first `limit`; it must be a file that is not empty.

    Raises:
        AudioNotFound: there is no such file.
        InvalidAudio: it is a folder, empty, or can't be read.
    """
    try:
        if is_local(address):
            place = local_path(address)
            if place.is_dir():
                raise InvalidAudio(f"{address} is a folder: expected an audio file")
            with place.open("rb") as file:
                data = file.read(limit)
        else:
            data = read_bytes(address)
    except (FileNotFoundError, DataMissing) as error:
        raise AudioNotFound(f"No audio at {address}: no such file; check the path") from error
    except OSError as error:
        raise InvalidAudio(f"{address} can't be read ({error.strerror or error}): check its permissions") from error
    if not data:
        raise InvalidAudio(f"{address} is empty (0 bytes): expected an audio file; copy or export it again")
    return data


def _decode_libsndfile(data: bytes) -> tuple[Samples, int] | None:
    """Samples [channels, samples] and rate, or None where libsndfile knows no such format."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            interleaved = file.read(dtype="float32", always_2d=True)
            return np.ascontiguousarray(interleaved.T), int(file.samplerate)
    except soundfile.LibsndfileError:
        return None


def decode_ffmpeg(data: bytes, path: str | Path) -> tuple[Samples, int, str]:
    """Samples [channels, samples], rate and codec of the first audio stream, as FFmpeg decodes it.

    Raises:
        InvalidAudio: it is no audio.
    """
    import av

    try:
        with av.open(io.BytesIO(data)) as container:
            if not container.streams.audio:
                raise InvalidAudio(f"{path} has no audio stream: expected an audio file")
            stream: Any = container.streams.audio[0]
            blocks, sample_rate = _stream_blocks(container, stream)
            codec = str(stream.codec_context.codec.canonical_name)
            tells = container.format.name.startswith("mov") and stream.duration and stream.time_base
            # The last AAC frame is padded; MP4 says how much of it was recorded.
            num_samples = round(stream.duration * stream.time_base * sample_rate) if tells else None
    except av.FFmpegError as error:
        reason = str(error).split("]", 1)[-1].split(":", 1)[0].strip() or type(error).__name__
        raise InvalidAudio(
            f"{path} is not audio that can be decoded ({reason}): expected WAV, FLAC, Ogg, MP3, AAC or the like"
        ) from error
    if not blocks:
        raise InvalidAudio(f"{path} holds no samples: expected at least one; export it again")
    return np.concatenate(blocks, axis=1)[:, :num_samples], sample_rate, codec


def _stream_blocks(container: Any, stream: Any) -> tuple[list[Samples], int]:  # noqa: ANN401 - untyped av
    import av

    to_planar = av.AudioResampler(format="fltp")  # format alone: rate and layout stay the stream's
    blocks = [
        block.to_ndarray().astype(np.float32, copy=False)
        for frame in container.decode(stream)
        for block in to_planar.resample(frame)
    ]
    return blocks, int(stream.codec_context.sample_rate)
