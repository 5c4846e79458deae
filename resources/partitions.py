"""The partitions of the lineage, which assets and jobs both need."""

import dagster as dg

from audiobuff_core.evaluation.held_out import EVALUATION_KINDS

SHARDS = dg.DynamicPartitionsDefinition(name="shards")
"""A shard is a manifest of at most 256 recordings (32 by default); key `<yyyymmdd>-<8 hex>`."""

CHECKPOINTS = dg.DynamicPartitionsDefinition(name="checkpoints")
"""A checkpoint is keyed by 16 hex digits of its training snapshot, profile and seed."""

DAMAGE_KINDS = dg.StaticPartitionsDefinition(list(EVALUATION_KINDS))
"""The kinds of damage that held-out tracks are given, one at a time."""

EVALUATIONS = dg.MultiPartitionsDefinition({"checkpoint": CHECKPOINTS, "degradation": DAMAGE_KINDS})
"""A checkpoint tried on a kind of damage."""

INBOX_FILES = dg.DynamicPartitionsDefinition(name="inbox_files")
"""A damaged file dropped for repair; key `<name>-<8 hex of its bytes>`."""


def evaluation_key(checkpoint: str, kind: str) -> str:
    """The partition key of `checkpoint` tried on `kind`."""
    return str(dg.MultiPartitionKey({"checkpoint": checkpoint, "degradation": kind}))


def split_evaluation_key(key: str) -> tuple[str, str]:
    """The checkpoint and the kind of damage of an evaluation's partition key."""
    checkpoint, _, kind = key.partition("|")
    return checkpoint, kind
