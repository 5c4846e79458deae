"""From the clean and damaged audio of a shard to one group of latents a stream."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

from audiobuff_core.audio.read import read_audio
from audiobuff_core.codecs.registry import EncoderChoice, load_codec, load_feature_encoder
from audiobuff_core.data.damage import DegradedItem, DegradedShard, load_degraded
from audiobuff_core.data.store import LatentGroup, LatentRecord, LatentStore
from audiobuff_core.errors import DataMissing, InvalidConfig, StoreMismatch, StoreNotSealed
from audiobuff_core.files import join, names_in
from audiobuff_core.progress import track
from audiobuff_core.seeding import digest

if TYPE_CHECKING:
    from audiobuff_core.codecs.protocols import Codec, FeatureEncoder

CODE_VERSION: Final = "2"

Stream = Literal["target", "structure", "semantic"]
STREAMS: Final[tuple[Stream, ...]] = ("target", "structure", "semantic")


def clean_record(track_id: str, variant: int) -> str:
    """Name of the record of a clean track at the gain of one of its damaged variants."""
    return f"{track_id}/clean.v{variant}"


def damaged_record(track_id: str, variant: int) -> str:
    """Name of the record of a damaged variant of a track."""
    return f"{track_id}/v{variant}"


def extract_shard(root: str, shard: str, stream: Stream, *, encoders: EncoderChoice) -> LatentGroup:
    """The latents of `shard` by the chosen encoder of `stream`, sealed; made only if they are not there and whole.

    A run that was killed goes on after the last recording that it finished.

    `target` has the clean audio of each item and what the network hears of the damaged one, the side streams the
    latter alone, all times the item's gain. The place is `latents/<stream>/<encoder key>/<content key>`, so other
    inputs or encoders never overwrite.

    Raises:
        DataMissing: the shard has no degraded audio.
        EncoderUnavailable: the encoder is unknown, or its package or weights are missing.
        InvalidAudio: a file can't be read or encoded.
        OutputNotWritable: the place is read-only or full.
    """
    degraded = load_degraded(root, shard)
    encoder = _encoder(stream, encoders)
    path, inputs = _place(degraded, stream, encoder)
    store = LatentStore(root)
    try:
        group = store.open_group(path, encoder=encoder.identity)
    except (DataMissing, StoreNotSealed, StoreMismatch):
        group = None  # nothing there, or the rest of a run that was cut off: written anew below
    if group is not None and group.inputs == inputs:
        return group
    names = [name for item in degraded.items for name in _names(item, stream)]
    kept = store.kept_records(path, names, inputs=inputs, encoder=encoder.identity)
    missing = [item for item in degraded.items if not kept.issuperset(_names(item, stream))]
    items = track(missing, f"Encoding {stream} of {shard}")
    return store.write_group(
        path,
        (record for item in items for record in _records(item, stream, encoder)),
        kept=kept,
        encoder=encoder.identity,
        rate=encoder.frame_rate,
        dim=_dim(encoder),
        inputs=inputs,
        extra={"shard": shard, "stream": stream, "degraded": degraded.digest},
    )


def load_extracted(root: str, shard: str, stream: Stream, *, encoders: EncoderChoice) -> LatentGroup:
    """The group that `extract_shard` made of what the shard is now.

    Raises:
        DataMissing: it was not made, or made of other audio or by another encoder.
        StoreNotSealed: it is not whole.
        StoreMismatch: what lies there was made by another encoder than its path says.
    """
    encoder = _encoder(stream, encoders)
    path, _ = _place(load_degraded(root, shard), stream, encoder)
    try:
        return LatentStore(root).open_group(path, encoder=encoder.identity)
    except DataMissing as error:
        others = sorted(set(names_in(join(root, "latents", stream))) - {encoder.identity.key})
        there = f"; those of {', '.join(others)} in this store can't be mixed with them" if others else ""
        raise DataMissing(
            f"Shard {shard} has no {stream} latents by {encoder.identity.key}: extract latents/{stream} of it "
            f"again{there}"
        ) from error


def _encoder(stream: str, encoders: EncoderChoice) -> "Codec | FeatureEncoder":
    match stream:
        case "target":
            return load_codec(encoders.codec)
        case "structure":
            return load_feature_encoder("structure", encoders.structure)
        case "semantic":
            return load_feature_encoder("semantic", encoders.semantic)
    raise InvalidConfig(f"Stream {stream!r} is unknown: expected one of {', '.join(STREAMS)}")


def _dim(encoder: "Codec | FeatureEncoder") -> int:
    return int(encoder.latent_dim if hasattr(encoder, "latent_dim") else encoder.feature_dim)


def _place(degraded: DegradedShard, stream: Stream, encoder: "Codec | FeatureEncoder") -> tuple[str, str]:
    """Path in the store, and the digest of all that the group is made from."""
    inputs = digest(CODE_VERSION, stream, degraded.digest, encoder.identity.as_dict())
    return join("latents", stream, encoder.identity.key, inputs[:16]), inputs


def _names(item: DegradedItem, stream: Stream) -> list[str]:
    names = [damaged_record(item.track_id, item.variant)]
    return [*names, clean_record(item.track_id, item.variant)] if stream == "target" else names


def _records(item: DegradedItem, stream: Stream, encoder: "Codec | FeatureEncoder") -> Iterator[LatentRecord]:
    from audiobuff_core.codecs.level import encode_like

    damaged = encoder.encode(read_audio(item.heard_path).scaled(item.gain))
    yield LatentRecord(damaged_record(item.track_id, item.variant), damaged, encoder.to_stored(damaged.values))
    if stream == "target":
        codec: Codec = encoder  # type: ignore[assignment]  # of this stream it is one
        clean = encode_like(codec, read_audio(item.clean_path).scaled(item.gain), damaged)
        yield LatentRecord(clean_record(item.track_id, item.variant), clean, codec.to_stored(clean.values))
