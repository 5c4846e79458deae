"""From recordings as they came to tracks that every later step can rely on."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from audiobuff_core.audio.read import read_pieces
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data.library import IncomingTrack, Shard, find_track, split_of
from audiobuff_core.data.pristine import (
    PristineShard,
    PristineTrack,
    QuarantinedTrack,
    load_pristine,
    pristine_folder,
    shard_of_manifest,
)
from audiobuff_core.data.quality import QualityGates, measure, refusals, trained_below_hz
from audiobuff_core.data.seen import changed_since
from audiobuff_core.data.step_folder import StepFolder
from audiobuff_core.errors import AudioNotFound, DataMissing, InvalidAudio, InvalidConfig
from audiobuff_core.files import delete, join
from audiobuff_core.progress import track
from audiobuff_core.seeding import digest

__all__ = ["PristineShard", "PristineTrack", "QualityGates", "QuarantinedTrack", "ingest_shard", "load_pristine"]

# Raise it when the same recording would give another file or another measure.
CODE_VERSION = "3"

# Longer recordings become several tracks, so that no step ever needs the memory for hours.
LONGEST_SECONDS = 180.0
SHORTEST_LAST_SECONDS = 10.0
PCM_24_STEPS = 2**23
# Decoding, resampling and Fourier transforms let go of the interpreter: threads are enough. Each holds one piece.
MAX_WORKERS = 4
CHANGED = "changed since it was registered: what it holds now is another recording; register the folder again"

Item = dict[str, Any]


def ingest_shard(
    root: str, shard: Shard, *, sample_rate: int = 44_100, gates: QualityGates | None = None, workers: int = 2
) -> PristineShard:
    """Decode every recording of `shard`, measure it, mix it to mono at `sample_rate` Hz and write it as FLAC.

    A recording over three minutes becomes tracks of three minutes; at most `workers` (1 to 4) pieces are in memory.
    What can't be read whole, holds other bytes than it was registered with, or is refused by a gate, is quarantined
    with the reason, and stops nothing.

    Raises:
        InvalidConfig: a sample rate outside 8000 to 192000 Hz, or another number of workers.
    """
    if not 8_000 <= sample_rate <= 192_000 or not 1 <= workers <= MAX_WORKERS:
        raise InvalidConfig(
            f"Sample rate {sample_rate} Hz and {workers} workers: expected 8000 to 192000 Hz and 1 to {MAX_WORKERS}"
        )
    gates = gates or QualityGates()
    folder = pristine_folder(root, shard.key)
    options = [CODE_VERSION, sample_rate, asdict(gates)]
    keys = {one.track_id: digest(*options, one.track_id, one.file_hash, one.copy_of) for one in shard.tracks}
    inputs = digest(shard.key, keys)
    manifest = folder.sealed(inputs)
    if manifest is not None:
        return shard_of_manifest(folder.path, manifest)
    finished = _finished(folder, keys)
    folder.begin({name: item["key"] for items in finished.values() for name, item in items.items()})
    waiting = [one for one in shard.tracks if one.track_id not in finished]
    changed = changed_since(root, {one.source: one.file_hash for one in waiting})
    quarantined = [QuarantinedTrack(one.track_id, one.source, CHANGED) for one in waiting if one.source in changed]
    waiting = [one for one in waiting if one.source not in changed]
    work = partial(_ingest, root, folder.path, sample_rate, gates)
    with folder.noting(), ThreadPoolExecutor(workers) as pool:
        for items, refused in track(pool.map(work, waiting), f"Ingesting {shard.key}", total=len(waiting)):
            quarantined += refused
            for name, item in items.items():
                folder.finish(name, {"key": keys[item["recording"]], **item})
    more = {
        "shard": shard.key,
        "sample_rate": sample_rate,
        "quarantined": [asdict(one) for one in sorted(quarantined, key=lambda one: one.track_id)],
    }
    return shard_of_manifest(folder.path, folder.seal(inputs, more))


def _finished(folder: StepFolder, keys: dict[str, str]) -> dict[str, dict[str, Item]]:
    """The items of recordings of which every piece is there, made as `keys` say.

    Those with quarantined pieces are decoded again, for their reasons.
    """
    by_recording: dict[str, dict[str, Item]] = {}
    for name, item in folder.earlier().items():
        recording = str(item.get("recording"))  # items of earlier versions have none
        if keys.get(recording) == item["key"]:
            by_recording.setdefault(recording, {})[name] = item
    return {
        recording: items
        for recording, items in by_recording.items()
        if all(item["num_pieces"] == len(items) for item in items.values())
    }


def _ingest(
    root: str, folder: str, sample_rate: int, gates: QualityGates, incoming: IncomingTrack
) -> tuple[dict[str, Item], list[QuarantinedTrack]]:
    """Write the tracks of one recording; their items by file name, and what was refused."""
    items: dict[str, Item] = {}
    refused: list[QuarantinedTrack] = []
    num_pieces, start_seconds, side = 0, 0.0, ""
    try:
        if incoming.copy_of is not None:
            side = _side_of_copies(root, incoming.copy_of, sample_rate)
        for piece in _pieces(incoming.source):
            exact, gain, audio_hash = _pristine(piece, sample_rate)
            side = side or audio_hash
            measures = measure(piece)
            reasons = list(refusals(measures, peak=float(np.abs(piece.samples).max()), gates=gates))
            track_id = incoming.track_id if num_pieces == 0 else f"{incoming.track_id}-{num_pieces + 1:03d}"
            if reasons:
                refused.append(_refused(incoming, track_id, "; ".join(reasons), start_seconds, piece))
            else:
                name = f"{track_id}.flac"
                write_audio(join(folder, name), exact)
                items[name] = {
                    "recording": incoming.track_id,
                    "track_id": track_id,
                    "source": incoming.source,
                    "start_seconds": start_seconds,
                    "audio_hash": audio_hash,
                    "split_hash": side,
                    "split": split_of(side),
                    "num_samples": exact.num_samples,
                    "peak": float(np.abs(exact.samples).max()),
                    "gain": gain,
                    "trained_below_hz": trained_below_hz(measures, sample_rate),
                    "measures": asdict(measures),
                }
            num_pieces += 1
            start_seconds += piece.duration_seconds
    except (InvalidAudio, AudioNotFound, DataMissing) as error:
        for name in items:  # nothing of a recording that can't be read to its end is used
            delete(join(folder, name))
        return {}, [QuarantinedTrack(incoming.track_id, incoming.source, str(error))]
    return {name: {**item, "num_pieces": num_pieces} for name, item in items.items()}, refused


def _refused(
    incoming: IncomingTrack, track_id: str, reason: str, start_seconds: float, piece: Waveform
) -> QuarantinedTrack:
    place = f"{start_seconds:.0f} to {start_seconds + piece.duration_seconds:.0f} s: " if start_seconds else ""
    return QuarantinedTrack(track_id, incoming.source, place + reason)


def _pieces(source: str) -> Iterator[Waveform]:
    return read_pieces(source, longest_seconds=LONGEST_SECONDS, shortest_seconds=SHORTEST_LAST_SECONDS)


def _side_of_copies(root: str, track_id: str, sample_rate: int) -> str:
    """What decides the side of the split of the copies of a recording: the hash that itself is, or would be, split by.

    One that can't be read, or is gone, has no side; its copies have one together.
    """
    shard, original = find_track(root, track_id)
    known = _split_hashes(root, shard, sample_rate).get(track_id)
    if known is not None:
        return known
    unreadable = digest("copies of a recording that can't be read", original.file_hash)
    if changed_since(root, {original.source: original.file_hash}):
        return unreadable
    try:
        return _pristine(next(_pieces(original.source)), sample_rate)[2]
    except (InvalidAudio, AudioNotFound):
        return unreadable  # its own row of the quarantine says why


def _split_hashes(root: str, shard: str, sample_rate: int) -> dict[str, str]:
    """By recording, what decided the side of those of `shard` that were ingested at `sample_rate`."""
    try:
        made = load_pristine(root, shard)
    except DataMissing:
        return {}  # the shard's turn has not come
    return {one.recording: one.split_hash for one in made.tracks} if made.sample_rate == sample_rate else {}


def _pristine(piece: Waveform, sample_rate: int) -> tuple[Waveform, float, str]:
    """`piece` in mono at `sample_rate` as FLAC will hold it, the gain that it needed, and the hash of its samples."""
    mono = resample(piece.mono(), sample_rate)
    peak = float(np.abs(mono.samples).max())
    gain = 1.0 / peak if peak > 1.0 else 1.0
    steps = _pcm_24(mono.scaled(gain))
    audio_hash = hashlib.sha256(steps.tobytes() + str(sample_rate).encode()).hexdigest()
    return Waveform((steps / PCM_24_STEPS).astype(np.float32), sample_rate), gain, audio_hash


def _pcm_24(waveform: Waveform) -> np.ndarray[Any, np.dtype[np.int32]]:
    """The samples as 24-bit steps, what FLAC stores: float32 holds each exactly, so reading gives them back."""
    steps = np.round(waveform.samples.astype(np.float64) * PCM_24_STEPS)
    return np.clip(steps, -PCM_24_STEPS, PCM_24_STEPS - 1).astype("<i4")
