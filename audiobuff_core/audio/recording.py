"""A file's samples as it stores them, so that what is not changed comes back to the bit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiobuff_core.audio.declared_bytes import declared_bytes
from audiobuff_core.audio.read import decode_ffmpeg, is_cut_off, readable
from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.errors import InvalidAudio

Stored = NDArray[Any]
"""[channels, samples] of int16 or int32 (left-aligned), float32 or float64."""

BLOCK_SAMPLES = 1 << 20
# libsndfile's names of exact codings -> the type that holds them, and their bits (0: floating)
CODINGS: dict[str, tuple[type[np.generic], int]] = {
    "PCM_S8": (np.int16, 8), "PCM_U8": (np.int16, 8), "PCM_16": (np.int16, 16), "ALAC_16": (np.int16, 16),
    "PCM_24": (np.int32, 24), "ALAC_20": (np.int32, 20), "ALAC_24": (np.int32, 24), "PCM_32": (np.int32, 32),
    "ALAC_32": (np.int32, 32), "FLOAT": (np.float32, 0), "DOUBLE": (np.float64, 0),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One file, decoded.

    Attributes:
        path: of the file.
        stored: its samples [channels, samples] as they lie there; those of lossy codings as float32.
        sample_rate: in Hz.
        format: libsndfile's major format, such as `WAV`; empty where FFmpeg decoded it.
        subtype: its coding, such as `PCM_16`, or the name of FFmpeg's codec.
        bits: of whole numbers; 0 for floating point and lossy codings.
        is_exact: whether samples come back as they were written.
    """

    path: Path
    stored: Stored
    sample_rate: int
    format: str
    subtype: str
    bits: int
    is_exact: bool

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.stored.shape[0])

    @property
    def num_samples(self) -> int:
        """Samples in each channel."""
        return int(self.stored.shape[1])

    @property
    def duration_seconds(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate

    @property
    def has_headroom(self) -> bool:
        """Whether samples above full scale can be stored."""
        return self.is_exact and self.bits == 0

    def floats(self, first: int = 0, last: int | None = None) -> Samples:
        """Samples [first, last) as float32, full scale +-1: exact up to 24 bits."""
        return as_floats(self.stored[:, first:last])

    def waveform(self) -> Waveform:
        """The whole as float32."""
        return Waveform(self.floats(), self.sample_rate)

    def to_stored(self, samples: Samples) -> Stored:
        """float32 `samples` as this file would store them: rounded to its depth and held to its range."""
        if self.bits == 0:
            return samples.astype(self.stored.dtype)
        width = self.stored.dtype.itemsize * 8
        top = 1 << (self.bits - 1)
        whole = np.clip(np.rint(samples.astype(np.float64) * top), -top, top - 1).astype(np.int64)
        return (whole << (width - self.bits)).astype(self.stored.dtype)


def as_floats(stored: Stored) -> Samples:
    """Stored samples as contiguous float32, full scale +-1."""
    if stored.dtype.kind == "f":
        return np.ascontiguousarray(stored, dtype=np.float32)
    floats = stored.astype(np.float32)  # rounds once, as the scale is a power of two
    floats *= np.float32(1.0 / (1 << (stored.dtype.itemsize * 8 - 1)))
    return floats


def read_recording(path: str | Path) -> Recording:
    """The file at local `path`, whatever can be decoded.

    Raises:
        AudioNotFound: there is no such file.
        InvalidAudio: it is empty, no audio, has no samples, or has NaN or infinite ones.
    """
    place = Path(path)
    try:
        with readable(str(path)):
            recording = _by_libsndfile(place)
    except soundfile.LibsndfileError:
        samples, sample_rate, codec = decode_ffmpeg(path)
        recording = _as_whole_numbers(Recording(place, samples, sample_rate, "", codec, 0, False))
    if recording.num_samples == 0:
        raise InvalidAudio(f"{path} holds no samples: expected at least one; export it again")
    if recording.stored.dtype.kind == "f":
        bad = sum(int((~np.isfinite(block)).sum()) for block in blocks_of(recording.stored))
        if bad:
            raise InvalidAudio(f"{path} has {bad} NaN or infinite samples: expected finite numbers; re-export it")
    return recording


def _as_whole_numbers(decoded: Recording) -> Recording:
    """What FFmpeg decoded: as the whole numbers that its file holds where nothing was lost, as in ALAC."""
    import av

    with av.open(str(decoded.path)) as container:
        context = container.streams.audio[0].codec_context
        kind = context.format.name.removesuffix("p")
        bits = {"s16": 16, "s32": 24}.get(kind, 0) if context.codec.lossless and not context.codec.lossy else 0
    scaled = (block * (1 << bits - 1) for block in blocks_of(decoded.stored)) if bits else ()
    if not bits or any((block != np.rint(block)).any() for block in scaled):
        return decoded
    empty = np.zeros((decoded.channels, 0), np.int16 if bits == 16 else np.int32)
    whole = replace(decoded, stored=empty, bits=bits, is_exact=True)
    return replace(whole, stored=whole.to_stored(decoded.stored))


def blocks_of(stored: Stored, block_samples: int = BLOCK_SAMPLES) -> Iterator[Stored]:
    """Views of successive stretches of [channels, samples]."""
    for first in range(0, stored.shape[1], block_samples):
        yield stored[:, first : first + block_samples]


def _by_libsndfile(path: Path) -> Recording:
    _check_size(path)
    with soundfile.SoundFile(path) as file:
        kind, bits = CODINGS.get(file.subtype, (np.float32, 0))
        stored = np.empty((file.channels, max(0, file.frames)), kind)
        exact, done = file.subtype in CODINGS, 0
        while done < stored.shape[1]:
            wanted = min(BLOCK_SAMPLES, stored.shape[1] - done)
            try:
                block = file.read(wanted, dtype=np.dtype(kind).name, always_2d=True)
            except soundfile.LibsndfileError:
                if not exact:
                    raise  # FFmpeg may know better
                block = stored[:, :0].T
            if len(block) == 0 and (exact or is_cut_off(done / file.samplerate, stored.shape[1] / file.samplerate)):
                raise InvalidAudio(
                    f"{path} is damaged or cut off: about {done} of {stored.shape[1]} samples can be read; copy or "
                    "export it again"
                )
            if len(block) == 0:
                break  # how long a lossy file is, its header only estimates
            stored[:, done : done + len(block)] = block.T
            done += len(block)
        return Recording(path, stored[:, :done], int(file.samplerate), file.format, file.subtype, bits, exact)


def _check_size(path: Path) -> None:
    """A file that is shorter than it says was cut off; libsndfile would read what is there."""
    told = declared_bytes(path)
    if told is not None and path.stat().st_size < told - 1:
        raise InvalidAudio(
            f"{path} is cut off: {path.stat().st_size} of {told} bytes are there; copy or export it again"
        )
