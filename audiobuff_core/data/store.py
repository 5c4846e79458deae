"""Latents in Zarr v3 behind any fsspec URL: a few large objects a group, and a manifest that is written last."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from typing import Any, Final

import fsspec
import numpy as np

from audiobuff_core import __version__
from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.data.group import MANIFEST, LatentGroup, LatentRecord, RecordPlace
from audiobuff_core.data.group_arrays import GroupArrays
from audiobuff_core.data.group_writer import GroupWriter
from audiobuff_core.data.statistics import ChannelStatistics
from audiobuff_core.data.unsealed import FOLDER, UnsealedRecords
from audiobuff_core.errors import DataMissing, OutputNotWritable, StoreMismatch, StoreNotSealed
from audiobuff_core.files import exists, join, read_json, write_json
from audiobuff_core.seeding import digest

__all__ = ["LatentGroup", "LatentRecord", "LatentStore", "open_group"]

SCHEMA: Final = 2


class LatentStore:
    """Groups of latents under one root: a path, or a URL such as `s3://bucket/latents` or `memory://test`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def write_group(
        self,
        path: str,
        records: Iterable[LatentRecord],
        *,
        encoder: EncoderIdentity,
        rate: Fraction,
        dim: int,
        inputs: str,
        extra: dict[str, Any] | None = None,
        kept: Collection[str] = (),
    ) -> LatentGroup:
        """Write `records` at `path`, seal the group, and return it; an unsealed or older group there is replaced.

        Every record is in storage before the next one is taken, so a run that is killed loses at most one of them.

        Args:
            path: relative to the root.
            records: taken one by one, so they may be made on the way.
            encoder: which encoder made them.
            rate: frames a second of every record.
            dim: width of a decoded frame of every record.
            inputs: digest of what the records are made from.
            extra: JSON values to keep with the group.
            kept: records of a write that was cut off, as `kept_records` named them, that are part of the group too.

        Raises:
            StoreMismatch: the records disagree with `rate`, `dim` or each other.
            InvalidAudio: a latent is not finite.
            OutputNotWritable: the place is read-only or full.
        """
        url = self._at(path)
        with _writable(url):
            writer = GroupWriter(url, rate=rate, dim=dim, inputs=_inputs(inputs, encoder), kept=kept)
        for record in records:
            with _writable(url):
                writer.add(record)
        with _writable(url):
            statistics = writer.finish()
        manifest = {
            "schema": SCHEMA,
            "digest": digest(writer.content_hash, encoder.as_dict(), str(rate), dim),
            "inputs": inputs,
            "encoder": encoder.as_dict(),
            "rate": str(rate),
            "dim": dim,
            "extra": extra or {},
            "objects": _objects(url),
            "version": __version__,
            **_contents(writer, statistics),
        }
        with _writable(url):
            write_json(join(url, MANIFEST), manifest)
            writer.discard_unsealed()
        return _group(url, manifest)

    def kept_records(
        self, path: str, names: Collection[str], *, inputs: str, encoder: EncoderIdentity
    ) -> frozenset[str]:
        """Those of the records `names` that a write of the same `inputs` by `encoder` left before it was cut off."""
        return UnsealedRecords(self._at(path)).present(names, _inputs(inputs, encoder))

    def open_group(self, path: str, *, encoder: EncoderIdentity | None = None) -> LatentGroup:
        """The sealed group at `path` (relative to the root; empty for the root itself).

        Raises:
            DataMissing: there is no group.
            StoreNotSealed: it was never finished, or an object or record of it is gone.
            StoreMismatch: it is of another schema, or of another encoder than `encoder`.
        """
        url = self._at(path)
        if not exists(join(url, MANIFEST)):
            if exists(url):
                raise StoreNotSealed(f"Latent group {url} is not sealed: run its extraction again")
            raise DataMissing(f"No latent group at {url}: extract the latents of this shard first")
        manifest = read_json(join(url, MANIFEST))
        if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
            found = manifest.get("schema") if isinstance(manifest, dict) else None
            raise StoreMismatch(f"Latent group {url} has schema {found}: expected {SCHEMA}; extract it again")
        if encoder is not None and manifest["encoder"] != encoder.as_dict():
            made_by = EncoderIdentity(**manifest["encoder"]).key
            raise StoreMismatch(f"Latent group {url} is by {made_by}: expected {encoder.key}; extract it with that one")
        _check_whole(url, manifest)
        return _group(url, manifest)

    def _at(self, path: str) -> str:
        return join(self.url, path) if path else self.url


def open_group(url: str, *, encoder: EncoderIdentity | None = None) -> LatentGroup:
    """The sealed group at a full path or URL; errors as `LatentStore.open_group`."""
    return LatentStore(url).open_group("", encoder=encoder)


def _inputs(inputs: str, encoder: EncoderIdentity) -> dict[str, Any]:
    """What unsealed records must have been made from to be taken over."""
    return {"schema": SCHEMA, "inputs": inputs, "encoder": encoder.as_dict()}


def _contents(writer: GroupWriter, statistics: ChannelStatistics) -> dict[str, Any]:
    """What the manifest says of the records and their values."""
    return {
        "stored_dtype": writer.stored_dtype,
        "statistics": {
            "count": statistics.count,
            "total": statistics.total.tolist(),
            "squares": statistics.squares.tolist(),
        },
        "records": [
            [record_id, place.first_row, place.num_frames, place.channels, str(place.start_seconds), place.gains]
            for record_id, place in writer.places.items()
        ],
    }


@contextmanager
def _writable(url: str) -> Iterator[None]:
    """Turn what the system says about a read-only or full place into our error."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OutputNotWritable(
            f"Can't write latents to {url}: {error.strerror}. Free space or choose another place."
        ) from error


def _group(url: str, manifest: dict[str, Any]) -> LatentGroup:
    arrays = GroupArrays(url, manifest["digest"])
    places = {
        record_id: RecordPlace(first_row, num_frames, channels, Fraction(start), gains and tuple(gains))
        for record_id, first_row, num_frames, channels, start, gains in manifest["records"]
    }
    kept = manifest["statistics"]
    return LatentGroup(
        path=url,
        digest=manifest["digest"],
        inputs=manifest["inputs"],
        encoder=EncoderIdentity(**manifest["encoder"]),
        rate=Fraction(manifest["rate"]),
        dim=manifest["dim"],
        extra=manifest["extra"],
        statistics=ChannelStatistics(kept["count"], np.array(kept["total"]), np.array(kept["squares"])),
        _places=places,
        _rows=arrays.rows,
        _sums=partial(_record_sums, arrays, list(places)),
    )


def _record_sums(arrays: GroupArrays, record_ids: list[str]) -> dict[str, ChannelStatistics]:
    counts = arrays.whole("record_counts").astype(np.int64)
    sums = arrays.whole("record_sums").astype(np.float64)
    return {
        record_id: ChannelStatistics(int(count), total, squares)
        for record_id, count, (total, squares) in zip(record_ids, counts, sums, strict=True)
    }


def _check_whole(url: str, manifest: dict[str, Any]) -> None:
    found = _objects(url)
    lost = [name for name, num_bytes in manifest["objects"].items() if found.get(name) != num_bytes]
    if lost:
        raise StoreNotSealed(
            f"Latent group {url} is not whole: {len(lost)} of {len(manifest['objects'])} objects are missing or cut "
            f"off, such as {lost[0]}. Delete the group and run its extraction again"
        )
    written = GroupArrays(url, manifest["digest"]).whole("written").astype(np.bool_)
    names = [entry[0] for entry in manifest["records"]]
    missing = [name for index, name in enumerate(names) if index >= len(written) or not written[index]]
    if missing:
        raise StoreNotSealed(
            f"Latent group {url} is not sealed: {len(missing)} of {len(names)} records are missing, such as "
            f"{missing[0]}. Delete the group and run its extraction again"
        )


def _objects(url: str) -> dict[str, int]:
    """Size in bytes of each object of the group but the manifest, by its name inside the group."""
    filesystem, top = fsspec.core.url_to_fs(url)
    filesystem.invalidate_cache()
    sizes = {path.removeprefix(top).lstrip("/"): int(info["size"]) for path, info in _listing(filesystem, top).items()}
    return {name: num_bytes for name, num_bytes in sizes.items() if name != MANIFEST and not name.startswith(FOLDER)}


def _listing(filesystem: Any, top: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - fsspec has no types
    listing: dict[str, dict[str, Any]] = filesystem.find(top, detail=True)
    return listing
