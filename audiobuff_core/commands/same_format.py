"""Writing audio in the very format of another file."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidAudio, InvalidConfig
from audiobuff_core.files import atomic_path, write_bytes

LARGEST_PEAK = 0.9999
FLOATING = ("FLOAT", "DOUBLE")
BLOCK_SAMPLES = 65_536
# FFmpeg's encoder for what it decoded.
ENCODERS = {"mp3float": "libmp3lame", "mp3": "libmp3lame", "opus": "libopus", "vorbis": "libvorbis"}


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
    that fits. Of a video only the sound is written.

    Raises:
        InvalidAudio: the format can be read and not written.
        OutputNotWritable: the place is read-only or full.
    """
    try:
        facts = soundfile.info(str(source))
    except soundfile.LibsndfileError:
        fitting, gain = _fitting(waveform)
        _write_av(source, destination, fitting)
        return gain
    fitting, gain = (waveform, 1.0) if facts.subtype in FLOATING else _fitting(waveform)
    if facts.format == "WAV" and facts.subtype == "FLOAT":
        from audiobuff_core.audio.write import write_audio

        write_audio(destination, fitting)  # whose bytes do not depend on the hour
        return gain
    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(
            buffer, "w", fitting.sample_rate, fitting.channels, facts.subtype, facts.endian, facts.format
        ) as file:
            for start in range(0, fitting.num_samples, BLOCK_SAMPLES):
                file.write(np.ascontiguousarray(fitting.samples[:, start : start + BLOCK_SAMPLES].T))
    except (soundfile.LibsndfileError, ValueError) as error:
        raise InvalidAudio(
            f"{destination}: {facts.format_info} can't be written ({error}); convert it first"
        ) from error
    write_bytes(destination, buffer.getvalue())
    return gain


def _fitting(waveform: Waveform) -> tuple[Waveform, float]:
    peak = float(np.abs(waveform.samples).max())
    gain = min(1.0, LARGEST_PEAK / peak) if peak > 0 else 1.0
    return (waveform if gain == 1.0 else waveform.scaled(gain)), gain


def _write_av(source: Path, destination: Path, waveform: Waveform) -> None:
    """By FFmpeg, which chooses the container by the suffix; the codec and its bit rate are the source's."""
    import av

    with av.open(str(source)) as file:
        context = file.streams.audio[0].codec_context
        name, bit_rate = context.codec.name, context.bit_rate
    try:
        with atomic_path(destination) as temporary, av.open(str(temporary), "w") as made:
            stream: Any = made.add_stream(ENCODERS.get(name, name), rate=waveform.sample_rate, layout=context.layout)
            if bit_rate:
                stream.bit_rate = bit_rate
            frame = av.AudioFrame.from_ndarray(waveform.samples.T.reshape(1, -1), format="flt", layout=context.layout)
            frame.sample_rate = waveform.sample_rate
            for piece in (frame, None):
                made.mux(stream.encode(piece))
    except (av.FFmpegError, ValueError) as error:
        raise InvalidAudio(
            f"{destination}: {name} can't be written ({error}); convert {source} to WAV first"
        ) from error
