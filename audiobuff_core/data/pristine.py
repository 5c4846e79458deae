"""What ingest leaves of a shard: verified tracks with their measures, and what was put aside."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from audiobuff_core.data.library import Split
from audiobuff_core.data.quality import Measures
from audiobuff_core.data.step_folder import MANIFEST, StepFolder
from audiobuff_core.errors import DataMissing
from audiobuff_core.files import exists, join, read_json, write_json
from audiobuff_core.seeding import digest

LENDER: Final = "lender.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PristineTrack:
    """A verified mono track: a recording, or three minutes of one.

    Attributes:
        track_id: as it came in; later parts of a long recording have `-002` and so on after it.
        recording: the incoming track that it is from.
        source: absolute path or URL of the recording.
        start_seconds: where in it the track begins.
        num_pieces: how many parts the recording has.
        audio_hash: SHA-256 of the 24-bit samples and their rate: the same sound in another file has the same hash.
        split_hash: decides the split: the hash of the recording's first part, or that of the one it is a copy of.
        split: side of the split, by `split_hash`.
        path: of the FLAC file, PCM 24 bit.
        num_samples: at the shard's sample rate.
        peak: largest absolute sample, at most 1.
        gain: what the recording was scaled by so that its peak fits full scale; 1 unless it exceeded it.
        trained_below_hz: a model must not learn from it that there is nothing above; None: its band is full.
        measures: of the recording as it came.
    """

    track_id: str
    recording: str
    source: str
    start_seconds: float
    num_pieces: int
    audio_hash: str
    split_hash: str
    split: Split
    path: str
    num_samples: int
    peak: float
    gain: float
    trained_below_hz: float | None
    measures: Measures

    @property
    def duration_seconds(self) -> float:
        """Length in seconds."""
        return self.measures.duration_seconds

    @property
    def loudness_lufs(self) -> float | None:
        """BS.1770 loudness of the recording; None where the standard gives none."""
        return self.measures.loudness_lufs


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


def pristine_folder(root: str, shard: str) -> StepFolder:
    """Where the tracks of `shard` lie: in the store `root`, or in the one that lends it its recordings."""
    place = join(root, LENDER)
    owner = read_json(place)["root"] if exists(place) else root
    return StepFolder(join(owner, "audio", "pristine", shard))


def borrow_recordings(root: str, owner: str) -> None:
    """Let the store `root` use the pristine tracks of the store `owner`, where they lie."""
    write_json(join(root, LENDER), {"root": owner})


def load_pristine(root: str, shard: str) -> PristineShard:
    """The tracks that `ingest_shard` left.

    Raises:
        DataMissing: there are none, some of their files are gone, or an earlier version left them.
    """
    folder = pristine_folder(root, shard)
    remedy = "materialise audio/pristine for this shard"
    manifest = folder.load(f"pristine tracks of shard {shard!r}", remedy)
    if not all("measures" in item for item in manifest["items"].values()):
        raise DataMissing(f"Pristine tracks of shard {shard!r} at {folder.path} are of an earlier version: {remedy}")
    return shard_of_manifest(folder.path, manifest)


def train_on_something(root: str, shards: Iterable[str]) -> None:
    """Where chance leaves not one track of `shards` to train on, as with two files, move the first recording there.

    It stays there when more recordings come, and copies of it that come later go there too.
    """
    manifests = {shard: pristine_folder(root, shard).load("pristine tracks", "prepare again") for shard in shards}
    items = [item for _, manifest in sorted(manifests.items()) for _, item in sorted(manifest["items"].items())]
    learned = {item["split_hash"] for item in items if item["split"] == "train"} or {
        item["split_hash"] for item in items[:1]
    }
    for shard, manifest in manifests.items():
        moved = [
            item for item in manifest["items"].values() if item["split_hash"] in learned and item["split"] != "train"
        ]
        for item in moved:
            item["split"] = "train"
        if moved:
            write_json(join(pristine_folder(root, shard).path, MANIFEST), manifest)


def shard_of_manifest(path: str, manifest: dict[str, Any]) -> PristineShard:
    """The shard in the folder `path` that `manifest` describes; tracks stand in the order of their ids."""
    tracks = []
    for name, item in sorted(manifest["items"].items(), key=lambda entry: Path(entry[0]).stem):
        values = {field: value for field, value in item.items() if field not in ("key", "measures")}
        tracks.append(PristineTrack(path=join(path, name), measures=Measures(**item["measures"]), **values))
    quarantined = tuple(QuarantinedTrack(**one) for one in manifest["quarantined"])
    content = digest(
        manifest["sample_rate"],
        [(one.track_id, one.audio_hash, one.split_hash, one.trained_below_hz) for one in tracks],
        [one.track_id for one in quarantined],
    )
    return PristineShard(manifest["shard"], content, path, manifest["sample_rate"], tuple(tracks), quarantined)
