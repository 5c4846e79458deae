"""The original's latent cache, one way into Zarr.

A file `{stem}_seg_{idx:05d}.pt` holds one segment: the clean codec latent and the features of the damaged audio. What
made the features is not recorded (where X-Codec was missing the original drew them at random), and neither is their
clock. So what is imported is marked, and its encoder is one that no training asks for by chance.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.data.extraction import clean_record, damaged_record
from audiobuff_core.data.store import LatentGroup, LatentRecord, LatentStore
from audiobuff_core.errors import DataMissing, InvalidCheckpoint, InvalidConfig, StoreMismatch, StoreNotSealed
from audiobuff_core.models.checkpoint_file import read_plain
from audiobuff_core.progress import track
from audiobuff_core.seeding import digest

if TYPE_CHECKING:
    from torch import Tensor

CODE_VERSION: Final = "1"
UNVERIFIED: Final = "unverified"
# stream -> (key in a cached file, name of what made it)
CACHED: Final = {
    "target": ("dac_clean", "original-dac"),
    "structure": ("xcodec_noisy", "original-xcodec"),
    "semantic": ("mae_noisy", "original-audiomae"),
}
DAC_RATES: Final = {"16khz": Fraction(16_000, 320), "24khz": Fraction(24_000, 320), "44khz": Fraction(44_100, 512)}
_NAME = re.compile(r"(?P<stem>.+)_seg_(?P<index>\d{5,})\.pt")


@dataclass(frozen=True, slots=True)
class CachedSegment:
    """One file of the cache: where it is, its name without suffix, and the SHA-256 of its tensors."""

    path: Path
    name: str
    num_frames: dict[str, int]
    dims: dict[str, int]
    content: str


def import_cache(folder: str | Path, out: str, *, dac_model_type: str = "44khz") -> dict[str, LatentGroup]:
    """Write the cached segments of `folder` as one sealed group a stream under `out`; `folder` stays as it is.

    A segment becomes a record of its own, `<name>/clean.v0` of the target and `<name>/v0` of the side streams. The
    target has its codec's frame rate. A side stream has the rate that spreads its frames over the same time, as the
    original did. The values stay float32, bit for bit. Groups that are there and whole are kept.

    Returns:
        The groups `target`, `structure` and `semantic`; `extra["conditioning"]` of each is `unverified`.

    Raises:
        InvalidConfig: an unknown `dac_model_type`.
        DataMissing: no cached latents in `folder`.
        StoreMismatch: a file holds something else, or tensors of other widths than the first.
        InvalidAudio: a latent is not finite.
        OutputNotWritable: `out` can't be written.
    """
    if dac_model_type not in DAC_RATES:
        raise InvalidConfig(f"dac_model_type {dac_model_type!r}: expected {', '.join(DAC_RATES)}")
    segments = _segments(Path(folder))
    return {stream: _import_stream(stream, segments, LatentStore(out), dac_model_type) for stream in CACHED}


def _segments(folder: Path) -> list[CachedSegment]:
    """Every segment, looked through before anything is written; in the order of stems and indices."""
    found = [(match, path) for path in folder.glob("*.pt") if (match := _NAME.fullmatch(path.name))]
    if not found:
        raise DataMissing(f"No cached latents in {folder}: expected files such as song_seg_00000.pt; check the path")
    found.sort(key=lambda pair: (pair[0]["stem"], int(pair[0]["index"])))
    segments = []
    for _, path in track(found, "Looking through the cache"):
        tensors = _read(path)
        segment = CachedSegment(
            path=path,
            name=path.stem,
            num_frames={stream: len(tensor) for stream, tensor in tensors.items()},
            dims={stream: tensor.shape[1] for stream, tensor in tensors.items()},
            content=digest(*(_hash(tensor) for tensor in tensors.values())),
        )
        segments.append(segment)
        if segment.dims != segments[0].dims:
            raise StoreMismatch(
                f"{path} has widths {segment.dims}, {segments[0].path.name} has {segments[0].dims}: "
                "import caches of different encoders one by one"
            )
    return segments


def _read(path: Path) -> dict[str, "Tensor"]:
    """The three tensors [frames, dim] of one file, by stream."""
    from torch import Tensor

    try:
        content = read_plain(str(path))
    except InvalidCheckpoint as error:
        raise StoreMismatch(f"Not a cached segment: {error}; delete it") from error
    tensors: dict[str, Tensor] = {}
    for stream, (key, _) in CACHED.items():
        tensor = content.get(key)
        shape = list(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
        if not isinstance(tensor, Tensor) or tensor.ndim != 2 or not tensor.numel() or not tensor.is_floating_point():
            raise StoreMismatch(f"{path} has {key} of {shape}: expected floats [frames, dim]; delete it")
        tensors[stream] = tensor.float()
    return tensors


def _hash(tensor: "Tensor") -> str:
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()


def _import_stream(stream: str, segments: list[CachedSegment], store: LatentStore, dac_model_type: str) -> LatentGroup:
    encoder = _identity(stream, dac_model_type)
    inputs = digest(CODE_VERSION, stream, dac_model_type, [(one.name, one.content) for one in segments])
    try:
        group = store.open_group(stream, encoder=encoder)
    except (DataMissing, StoreNotSealed, StoreMismatch):
        group = None  # nothing there, or the rest of an import that was cut off: written anew below
    if group is not None and group.inputs == inputs:
        return group
    frames, of_target = (sum(one.num_frames[name] for one in segments) for name in (stream, "target"))
    rate = DAC_RATES[dac_model_type] * Fraction(frames, of_target)
    extra: dict[str, Any] = {
        "conditioning": UNVERIFIED,
        "source": "the original's .pt latent cache",
        "stream": stream,
        "dac_model_type": dac_model_type,
        "clock": "of the codec" if stream == "target" else "spread over the time of the target",
    }
    return store.write_group(
        stream,
        _records(stream, segments, rate),
        encoder=encoder,
        rate=rate,
        dim=segments[0].dims[stream],
        inputs=inputs,
        extra=extra,
    )


def _identity(stream: str, dac_model_type: str) -> EncoderIdentity:
    name = CACHED[stream][1]
    return EncoderIdentity(f"{name}-{dac_model_type}" if stream == "target" else name, "0", UNVERIFIED)


def _records(stream: str, segments: list[CachedSegment], rate: Fraction) -> Iterator[LatentRecord]:
    from audiobuff_core.codecs.frames import FrameSequence

    record = clean_record if stream == "target" else damaged_record
    for segment in track(segments, f"Importing {stream}"):
        values = _read(segment.path)[stream][None]
        yield LatentRecord(record(segment.name, 0), FrameSequence(values, rate), values.numpy())
