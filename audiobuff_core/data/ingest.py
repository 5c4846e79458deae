"""From recordings as they came to tracks that every later step can rely on."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from audiobuff_core.audio.bandwidth import bandwidth_hz
from audiobuff_core.audio.clipped import clipped_share
from audiobuff_core.audio.loudness import loudness_lufs
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data.library import IncomingTrack, Shard, Split, split_of
from audiobuff_core.data.step_folder import StepFolder
from audiobuff_core.errors import AudioNotFound, InvalidAudio, InvalidConfig
from audiobuff_core.files import join
from audiobuff_core.progress import track
from audiobuff_core.seeding import digest

# Raise it when the same recording would give another file or another measure.
CODE_VERSION = "1"

SHORTEST_SECONDS = 0.25
SILENT_PEAK = 1e-4
PCM_24_STEPS = 2**23


@dataclass(frozen=True, slots=True)
class PristineTrack:
    """A verified mono track.

    Attributes:
        track_id: as it came in.
        audio_hash: SHA-256 of the 24-bit samples and their rate: the same sound in another file has the same hash.
        path: of the FLAC file, PCM 24 bit.
        num_samples: at the shard's sample rate.
        duration_seconds: length in seconds.
        loudness_lufs: BS.1770 loudness; None where the standard gives none.
        peak: largest absolute sample, at most 1.
        bandwidth_hz: how far up the spectrum reaches.
        clipped_share: share of the samples in flat tops.
        dc: mean of the samples.
        gain: what the recording was scaled by so that its peak fits full scale; 1 unless it exceeded it.
        split: side of the split, by `audio_hash`.
        trained_below_hz: where the band of the recording ends far under full band; None where it does not.
    """

    track_id: str
    audio_hash: str
    path: str
    num_samples: int
    duration_seconds: float
    loudness_lufs: float | None
    peak: float
    bandwidth_hz: float
    clipped_share: float
    dc: float
    gain: float
    split: Split
    trained_below_hz: float | None = None


@dataclass(frozen=True, slots=True)
class QuarantinedTrack:
    """A recording that can't be used, and why."""

    track_id: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class PristineShard:
    """The usable tracks of a shard; `digest` is that of their content."""

    shard: str
    digest: str
    path: str
    sample_rate: int
    tracks: tuple[PristineTrack, ...]
    quarantined: tuple[QuarantinedTrack, ...]


def ingest_shard(root: str, shard: Shard, *, sample_rate: int = 44_100) -> PristineShard:
    """Decode every recording of `shard`, mix it to mono at `sample_rate` Hz, verify, measure and write it as FLAC.

    Recordings that can't be decoded, are shorter than 0.25 s, silent (peak under -80 dBFS) or not finite are
    quarantined with the reason.

    Raises:
        InvalidAudio: not one recording is usable.
        InvalidConfig: a sample rate outside 8000 to 192000 Hz.
    """
    if not 8_000 <= sample_rate <= 192_000:
        raise InvalidConfig(f"Sample rate {sample_rate} Hz: expected 8000 to 192000 Hz")
    folder = StepFolder(join(root, "audio", "pristine", shard.key))
    wanted = {f"{one.track_id}.flac": digest(CODE_VERSION, one.file_hash, sample_rate) for one in shard.tracks}
    inputs = digest(CODE_VERSION, shard.key, wanted)
    manifest = folder.sealed(inputs)
    if manifest is not None:
        return _shard_of(folder.path, manifest)
    folder.begin(wanted)
    quarantined = []
    with folder.noting():
        for incoming in track(shard.tracks, f"Ingesting {shard.key}"):
            name = f"{incoming.track_id}.flac"
            if name in folder.items:
                continue
            try:
                item = _ingest(incoming, join(folder.path, name), sample_rate)
            except (InvalidAudio, AudioNotFound) as error:
                quarantined.append(QuarantinedTrack(incoming.track_id, incoming.source, str(error)))
            else:
                folder.finish(name, {"key": wanted[name], **item})
    if not folder.items:
        reason = quarantined[0].reason if quarantined else "it has no tracks"
        raise InvalidAudio(f"No usable recording among the {len(shard.tracks)} of shard {shard.key}: {reason}")
    more = {"shard": shard.key, "sample_rate": sample_rate, "quarantined": [asdict(one) for one in quarantined]}
    return _shard_of(folder.path, folder.seal(inputs, more))


def load_pristine(root: str, shard: str) -> PristineShard:
    """The tracks that `ingest_shard` left.

    Raises:
        DataMissing: there are none, or some of their files are gone.
    """
    folder = StepFolder(join(root, "audio", "pristine", shard))
    remedy = "materialise audio/pristine for this shard"
    return _shard_of(folder.path, folder.load(f"pristine tracks of shard {shard!r}", remedy))


def _ingest(incoming: IncomingTrack, path: str, sample_rate: int) -> dict[str, Any]:
    """Write one track; returns what the manifest says of it."""
    waveform = resample(read_audio(incoming.source).mono(), sample_rate)
    if waveform.duration_seconds < SHORTEST_SECONDS:
        raise InvalidAudio(
            f"{incoming.source} lasts {waveform.duration_seconds:.3g} s: expected at least {SHORTEST_SECONDS} s"
        )
    peak = float(np.abs(waveform.samples).max())
    if peak < SILENT_PEAK:
        raise InvalidAudio(f"{incoming.source} is silent (peak {peak:.2g}): expected at least {SILENT_PEAK}")
    gain = 1.0 / peak if peak > 1.0 else 1.0
    steps = _pcm_24(waveform.scaled(gain))
    exact = Waveform((steps / PCM_24_STEPS).astype(np.float32), sample_rate)
    write_audio(path, exact)
    audio_hash = hashlib.sha256(steps.tobytes() + str(sample_rate).encode()).hexdigest()
    return {
        "track_id": incoming.track_id,
        "audio_hash": audio_hash,
        "num_samples": exact.num_samples,
        "duration_seconds": exact.duration_seconds,
        "loudness_lufs": loudness_lufs(exact),
        "peak": float(np.abs(exact.samples).max()),
        "bandwidth_hz": bandwidth_hz(exact),
        "clipped_share": clipped_share(exact),
        "dc": float(exact.samples.mean(dtype=np.float64)),
        "gain": gain,
        "split": split_of(audio_hash),
    }


def _pcm_24(waveform: Waveform) -> np.ndarray[Any, np.dtype[np.int32]]:
    """The samples as 24-bit steps, what FLAC stores: float32 holds each exactly, so reading gives them back."""
    steps = np.round(waveform.samples.astype(np.float64) * PCM_24_STEPS)
    return np.clip(steps, -PCM_24_STEPS, PCM_24_STEPS - 1).astype("<i4")


def _shard_of(path: str, manifest: dict[str, Any]) -> PristineShard:
    """The shard that a manifest describes; tracks stand in the order of their names."""
    tracks = []
    for name, item in sorted(manifest["items"].items()):
        values = {field: value for field, value in item.items() if field != "key"}
        tracks.append(PristineTrack(path=join(path, name), **values))
    quarantined = tuple(QuarantinedTrack(**one) for one in manifest["quarantined"])
    content = digest(manifest["sample_rate"], [(one.track_id, one.audio_hash) for one in tracks])
    return PristineShard(manifest["shard"], content, path, manifest["sample_rate"], tuple(tracks), quarantined)
