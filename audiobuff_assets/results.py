"""What every asset returns: its place, its fingerprint, and its numbers."""

from collections.abc import Mapping
from typing import Any, Protocol

import dagster as dg

from audiobuff_core.errors import DataMissing
from resources.currency import FINGERPRINT, PATH, fingerprint, recorded

OWNERS = ["team:audiobuff"]
TAGS = {"audiobuff/lineage": "restoration"}


class Made(Protocol):
    """What a step of the core returns."""

    @property
    def digest(self) -> str:
        """Digest of the content."""
        ...

    @property
    def path(self) -> str:
        """Folder or file."""
        ...


def key(name: str) -> dg.AssetKey:
    """The asset key written `group/name`."""
    return dg.AssetKey.from_user_string(name)


def partition_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> str | None:
    """The partition being made, None where the asset has none."""
    return context.partition_key if context.has_partition_key else None


def provenance(context: dg.AssetExecutionContext, *, path: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The two metadata entries by which a later run knows that nothing need be redone."""
    return {PATH: dg.MetadataValue.path(path), FINGERPRINT: made_from(context, options)}


def made_from(context: dg.AssetExecutionContext, options: Mapping[str, Any]) -> str:
    """The fingerprint of what is being made, with `options`."""
    graph = context.job_def.asset_layer.asset_graph
    return fingerprint(context.instance, graph, context.asset_key, partition_of(context), options)


def materialized(
    context: dg.AssetExecutionContext, made: Made, *, options: Mapping[str, Any], metadata: Mapping[str, Any]
) -> dg.MaterializeResult[Any]:
    """The result of an asset: `options` is everything configured that determines the content."""
    return dg.MaterializeResult(
        metadata={**provenance(context, path=made.path, options=options), **metadata},
        data_version=dg.DataVersion(made.digest),
    )


def path_of(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, name: str, partition: str | None = None
) -> str:
    """Where the newest materialisation of asset `name` lies.

    Raises:
        DataMissing: it was never materialised.
    """
    path = recorded(context.instance, key(name), partition, PATH)
    if path is None:
        where = f" for {partition}" if partition else ""
        raise DataMissing(f"{name} was never materialised{where}, expected once: materialise it first.")
    return path
