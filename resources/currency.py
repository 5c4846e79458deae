"""Whether an asset's partition is current: made by this code, with these options, from these inputs, and still there.

The fingerprint is recorded with each materialisation; the demo, asked to run again, skips what is current.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

from audiobuff_core.data.step_folder import MANIFEST
from audiobuff_core.files import exists, join, read_json
from audiobuff_core.seeding import digest

FINGERPRINT = "fingerprint"
INPUTS = "inputs"
"""The fingerprint without options: whether something was made from today's inputs, whatever it was asked for."""
PATH = "path"
LATENTS = "latents"
STREAMS = ("target", "structure", "semantic")
_VERSION_TAG = "dagster/data_version"

Graph = BaseAssetGraph[Any]


def latest_record(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None) -> dg.EventLogRecord | None:
    """The newest materialisation of an asset, or of one of its partitions."""
    wanted = dg.AssetRecordsFilter(key, asset_partitions=[partition] if partition else None)
    return next(iter(instance.fetch_materializations(wanted, limit=1).records), None)


def recorded(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None, name: str) -> str | None:
    """The metadata entry `name` of the newest materialisation as text, or None."""
    record = latest_record(instance, key, partition)
    if record is None or record.asset_materialization is None:
        return None
    entry = record.asset_materialization.metadata.get(name)
    return None if entry is None else str(entry.value)


def data_versions(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, str]:
    """The data version of every materialised partition of `key`."""
    tags = instance.event_log_storage.get_latest_tags_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION, [_VERSION_TAG]
    )
    return {partition: found[_VERSION_TAG] for partition, found in sorted(tags.items()) if _VERSION_TAG in found}


def latents_digest(instance: dg.DagsterInstance) -> str | None:
    """Digest of the data versions of all three streams, of the shards that have all; None: no shard has."""
    versions = [data_versions(instance, dg.AssetKey(["latents", stream])) for stream in STREAMS]
    complete = sorted(set.intersection(*(set(found) for found in versions)))
    if not complete:
        return None
    return digest([[shard, *(found[shard] for found in versions)] for shard in complete])


def fingerprint(
    instance: dg.DagsterInstance, graph: Graph, key: dg.AssetKey, partition: str | None, options: Mapping[str, Any]
) -> str:
    """Digest of all that determines a partition: code version, options, and the data versions upstream."""
    node = graph.get(key)
    upstream = {
        parent.to_user_string(): _upstream_versions(instance, graph, parent, node.partitions_def, partition)
        for parent in sorted(node.parent_keys, key=lambda parent: parent.path)
    }
    return digest(key.path, node.code_version, dict(options), upstream)


def is_current(
    instance: dg.DagsterInstance, graph: Graph, key: dg.AssetKey, partition: str | None, options: Mapping[str, Any]
) -> bool:
    """Whether the newest materialisation has today's fingerprint, ended in a successful run, and is still there."""
    record = latest_record(instance, key, partition)
    if record is None or record.asset_materialization is None:
        return False
    metadata = record.asset_materialization.metadata
    if FINGERPRINT not in metadata or PATH not in metadata:
        return False
    run = instance.get_run_by_id(record.run_id)
    return (
        run is not None
        and run.status == dg.DagsterRunStatus.SUCCESS  # a blocking check may have failed after the materialisation
        and metadata[FINGERPRINT].value == fingerprint(instance, graph, key, partition, options)
        and all(_is_whole(str(entry.value)) for entry in metadata.values() if isinstance(entry, dg.PathMetadataValue))
    )


def _is_whole(path: str) -> bool:
    """Whether `path` is there, with every file that its manifest names."""
    manifest = join(path, MANIFEST)
    if not exists(manifest):
        return exists(path)
    items = read_json(manifest).get("items")
    names = items if isinstance(items, dict) else {}
    return all(exists(join(path, name)) for name in names)


def _upstream_versions(
    instance: dg.DagsterInstance,
    graph: Graph,
    parent: dg.AssetKey,
    child_partitions: dg.PartitionsDefinition | None,
    partition: str | None,
) -> str | dict[str, str] | None:
    partitions = graph.get(parent).partitions_def
    if partitions is None:
        return _version(latest_record(instance, parent, None))
    if partitions == child_partitions:
        return _version(latest_record(instance, parent, partition))
    if isinstance(child_partitions, dg.MultiPartitionsDefinition) and partition is not None:
        values = dict(zip(child_partitions.partition_dimension_names, partition.split("|"), strict=True))
        for dimension in child_partitions.partitions_defs:
            if dimension.partitions_def == partitions:
                return _version(latest_record(instance, parent, values[dimension.name]))
    return data_versions(instance, parent)


def _version(record: dg.EventLogRecord | None) -> str | None:
    if record is None or record.asset_materialization is None:
        return None
    return (record.asset_materialization.tags or {}).get(_VERSION_TAG)
