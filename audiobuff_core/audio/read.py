"""Reading audio of any common format, whole or piece by piece."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from audiobuff_core.audio.declared_bytes import declared_bytes
from audiobuff_core.audio.decoders import AudioSource, open_ffmpeg, open_source
from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.errors import AudioCutOff, AudioNotFound, InvalidAudio
from audiobuff_core.files import is_local, local_copy, local_path, printable

# A piece is at most this many numbers (256 MiB), however many channels and whatever rate they are of.
LARGEST_PIECE = 1 << 26
# Lengths in headers may be rounded or guessed: only what is this much shorter was cut off.
SHORTEST_SHARE, SHORTEST_LOSS_SECONDS = 0.98, 0.1


def read_audio(path: str | Path, *, whole: bool = False) -> Waveform:
    """The whole recording at `path`, a local path or an fsspec URL, at its own rate with its own channels.

    libsndfile reads WAV, FLAC, Ogg, MP3, AIFF and the like; what it refuses goes to FFmpeg (AAC, M4A, video files).
    A file that was cut off gives what is left of it, unless the `whole` is wanted.

    Raises:
        AudioNotFound: there is no such file.
        AudioCutOff: the `whole` is wanted, and it breaks off before its header says.
        InvalidAudio: the file is empty, no audio, has no samples, or has NaN or infinite ones.
    """
    name = printable(str(path))
    with readable(str(path)) as place:
        try:
            with open_source(name, place) as source:
                waveform = _waveform(name, list(source.blocks), source.sample_rate)
                if whole:
                    _refuse_cut_off(name, place, source, waveform.num_samples)
                return waveform
        except AudioCutOff:
            if whole:
                raise
            with open_ffmpeg(name, place) as source:  # it goes on where libsndfile gives up
                return _waveform(name, list(source.blocks), source.sample_rate)


class AudioShape(NamedTuple):
    """What a header says: samples of each channel, rate in Hz, channels."""

    num_samples: int
    sample_rate: int
    channels: int


def read_shape(path: str | Path) -> AudioShape:
    """The shape of a WAV or FLAC at a local path or fsspec URL, without decoding it.

    Raises:
        AudioNotFound, InvalidAudio: it is missing, or no audio.
    """
    import soundfile

    with readable(str(path)) as place:
        try:
            found = soundfile.info(str(place))
        except soundfile.LibsndfileError as error:
            raise InvalidAudio(f"{printable(str(path))} is no audio ({error}): make it again") from error
    return AudioShape(found.frames, found.samplerate, found.channels)


def decode_ffmpeg(path: str | Path) -> tuple[Samples, int, str]:
    """Samples [channels, samples], rate and codec of the first audio stream, as FFmpeg decodes it.

    Raises:
        AudioNotFound: there is no such file.
        InvalidAudio: it is no audio, or has no samples.
    """
    name = printable(str(path))
    with readable(str(path)) as place, open_ffmpeg(name, place) as source:
        waveform = _waveform(name, list(source.blocks), source.sample_rate)
        return waveform.samples, waveform.sample_rate, source.codec


def read_pieces(path: str | Path, *, longest_seconds: float, shortest_seconds: float) -> Iterator[Waveform]:
    """The recording at `path` as pieces of `longest_seconds`, each read only when it is asked for.

    The last one may be shorter, but not under `shortest_seconds`: then it is part of the one before. Of many channels
    at a high rate pieces are shorter: none has more than about 2^26 numbers.

    Raises:
        AudioNotFound: there is no such file.
        AudioCutOff: the file breaks off before its header says; every piece but the last was given.
        InvalidAudio: as `read_audio`.
    """
    name = printable(str(path))
    with readable(str(path)) as place, open_source(name, place) as source:
        longest = max(1, min(round(longest_seconds * source.sample_rate), LARGEST_PIECE // source.channels))
        shortest = round(shortest_seconds * source.sample_rate)
        waiting: list[Samples] = []
        num_waiting = num_read = 0
        for block in source.blocks:
            waiting.append(block)
            num_waiting += block.shape[1]
            num_read += block.shape[1]
            while num_waiting >= longest + shortest:
                joined = np.concatenate(waiting, axis=1)
                yield _waveform(name, [joined[:, :longest]], source.sample_rate)
                waiting, num_waiting = [joined[:, longest:]], num_waiting - longest
        _refuse_cut_off(name, place, source, num_read)
        yield _waveform(name, waiting, source.sample_rate)


def _waveform(name: str, blocks: list[Samples], sample_rate: int) -> Waveform:
    if not sum(block.shape[1] for block in blocks):
        raise InvalidAudio(f"{name} holds no samples: expected at least one; export it again")
    try:
        return Waveform(np.ascontiguousarray(np.concatenate(blocks, axis=1)), sample_rate)
    except InvalidAudio as error:
        raise InvalidAudio(f"{name}: {error}") from error


def _refuse_cut_off(name: str, place: Path, source: AudioSource, num_read: int) -> None:
    declared, found = declared_bytes(place), place.stat().st_size
    if declared is not None and found < declared - 1:  # the padding of an odd size is often left out
        raise AudioCutOff(
            f"{name} is cut off: {found} of the {declared} bytes that its header says; copy or export it again"
        )
    says, seconds = source.declared_seconds, num_read / source.sample_rate
    if says is not None and is_cut_off(seconds, says):
        raise AudioCutOff(
            f"{name} is cut off: {seconds:.3g} s of the {says:.3g} s that its header says; copy or export it again"
        )


def is_cut_off(seconds: float, declared_seconds: float) -> bool:
    """Whether a recording is so much shorter than its header says that it can't be rounding."""
    return seconds < SHORTEST_SHARE * declared_seconds and declared_seconds - seconds > SHORTEST_LOSS_SECONDS


@contextmanager
def readable(address: str) -> Iterator[Path]:
    """The file at `address` on this machine: one that is there, may be read, and is not empty.

    Raises:
        AudioNotFound: there is no such file.
        InvalidAudio: it is a folder, empty, or may not be read.
    """
    name = printable(address)
    if is_local(address) and local_path(address).is_dir():
        raise InvalidAudio(f"{name} is a folder: expected an audio file")
    try:
        with local_copy(address) as place:
            if place.stat().st_size == 0:
                raise InvalidAudio(f"{name} is empty (0 bytes): expected an audio file; copy or export it again")
            with place.open("rb"):  # whether that is allowed
                pass
            yield place
    except FileNotFoundError as error:
        raise AudioNotFound(f"No audio at {name}: no such file; check the path") from error
    except PermissionError as error:
        raise InvalidAudio(f"{name} can't be read ({error.strerror or error}): check its permissions") from error
