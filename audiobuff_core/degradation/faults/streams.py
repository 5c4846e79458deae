"""Encoded files in memory: made by libsndfile or FFmpeg, and decoded again."""

import io
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform

# Encoders of real numbers take what is a little over full scale; by what is far over it LAME ends the process.
LOUDEST = 16.0


def encode_mp3_vbr(waveform: Waveform, quality: float) -> bytes:
    """An MP3 file of variable bit rate by LAME; `quality` 0 is the least, 1 the most."""
    return _encode_sndfile(waveform, "MP3", "MPEG_LAYER_III", quality, bitrate_mode="VARIABLE")


def encode_vorbis(waveform: Waveform, quality: float) -> bytes:
    """An Ogg Vorbis file; `quality` 0 is the least, 1 the most."""
    return _encode_sndfile(waveform, "OGG", "VORBIS", quality)


def encode_telephone(waveform: Waveform, subtype: str) -> bytes:
    """A WAV file of one of the codings of telephones: GSM610, ULAW, ALAW."""
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform.samples.T, waveform.sample_rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def _encode_sndfile(waveform: Waveform, container: str, subtype: str, quality: float, **options: str) -> bytes:
    buffer = io.BytesIO()
    level = 1.0 - quality  # libsndfile counts compression, not quality
    with soundfile.SoundFile(
        buffer,
        "w",
        waveform.sample_rate,
        waveform.channels,
        subtype,
        format=container,
        compression_level=level,
        **options,
    ) as file:
        for block in np.array_split(waveform.samples.T, max(1, waveform.num_samples // 65_536)):
            file.write(np.ascontiguousarray(block))  # libsndfile's Vorbis overflows the stack on one long block
    return buffer.getvalue()


def encode_av(waveform: Waveform, encoder: str, container: str, bit_rate_per_channel: int) -> bytes:
    """A file of FFmpeg's `encoder` at a constant bit rate, in bits a second and channel."""
    import av

    layout = "mono" if waveform.channels == 1 else "stereo"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream: Any = file.add_stream(encoder, rate=waveform.sample_rate, layout=layout)
        stream.bit_rate = bit_rate_per_channel * waveform.channels
        interleaved = np.ascontiguousarray(waveform.samples.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=layout)
        frame.sample_rate = waveform.sample_rate
        for piece in (frame, None):
            file.mux(stream.encode(piece))
    return buffer.getvalue()


def decode(data: bytes) -> tuple[NDArray[np.float32], int]:
    """Samples [channels, samples] and rate in Hz of a file that one of the encoders made."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            samples = file.read(file.frames, dtype="float32", always_2d=True)  # GSM can't seek: say how many
            return np.ascontiguousarray(samples.T), int(file.samplerate)
    except soundfile.LibsndfileError:
        return _decode_av(data)


def _decode_av(data: bytes) -> tuple[NDArray[np.float32], int]:
    import av

    file: Any
    with av.open(io.BytesIO(data)) as file:
        stream = file.streams.audio[0]
        to_planar = av.AudioResampler(format="fltp")
        blocks = [block.to_ndarray() for frame in file.decode(stream) for block in to_planar.resample(frame)]
        return np.concatenate(blocks, axis=1).astype(np.float32), int(stream.codec_context.sample_rate)
