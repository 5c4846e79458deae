"""Noise from a user's own recordings: rooms, streets, or several voices at once as babble."""

import functools
import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.suffixes import AUDIO_SUFFIXES, is_hidden
from audiobuff_core.degradation.faults.added import at_ratio
from audiobuff_core.degradation.ranges import Parameters
from audiobuff_core.errors import AudioNotFound, DataMissing
from audiobuff_core.seeding import digest

Samples = NDArray[np.floating]


def apply(samples: Samples, sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] plus the recordings named in `files`, mixed at equal power, at `snr_db`.

    Each recording is made mono, resampled, begun at `start_share` of its length and repeated as often as needed; all
    channels hear the same. Silence stays silent.

    Raises:
        DataMissing: a recording is gone, or is no longer the one that the row was drawn with.
    """
    mixed = np.zeros(samples.shape[1])
    for name, file_hash in json.loads(str(parameters["files"])):
        path = Path(str(parameters["folder"])) / name
        if not path.is_file() or _hash_of(path) != file_hash:
            raise DataMissing(f"Noise recording {path} is gone or has changed: put back the file that the row names")
        sound = _sound(str(path), file_hash, sample_rate)
        start = int(float(parameters["start_share"]) * len(sound))
        piece = sound[start : start + samples.shape[1]]
        mixed += piece if len(piece) == len(mixed) else np.resize(np.roll(sound, -start), len(mixed))
    return samples + at_ratio(samples, np.broadcast_to(mixed, samples.shape), float(parameters["snr_db"]))


def choose_files(folder: str, voices: int, *keys: object) -> list[tuple[str, str]]:
    """Path inside `folder` and SHA-256 of the `voices` recordings that `keys` choose; of all, if there are not so many.

    Each recording's turn depends on its path and the keys alone, so a new one changes only the draws that it wins.

    Raises:
        AudioNotFound: there is no such folder, or no recording in it.
    """
    root = Path(folder)
    found = (path for path in root.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    names = sorted(name for name in (path.relative_to(root).as_posix() for path in found) if not is_hidden(name))
    if not names:
        raise AudioNotFound(f"No recordings under {folder!r} for the fault 'environment': name a folder that has some")
    chosen = sorted(names, key=lambda name: digest("environment", name, *keys))[:voices]
    return [(name, _hash_of(root / name)) for name in chosen]


def _hash_of(path: Path) -> str:
    facts = path.stat()
    return _hash_at(str(path), facts.st_size, facts.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _hash_at(path: str, _size_bytes: int, _changed_ns: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.lru_cache(maxsize=8)
def _sound(path: str, _file_hash: str, sample_rate: int) -> Samples:
    """One channel at `sample_rate`, of power 1 unless it is silent."""
    sound = resample(read_audio(path).mono(), sample_rate).samples[0].astype(np.float64)
    power = float(np.mean(np.square(sound)))
    return np.asarray(sound / np.sqrt(power)) if power > 0.0 else sound
