"""How a check is declared: a function of the context and the root that returns a verdict."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import dagster as dg

from audiobuff_assets.results import key
from resources.partitions import SHARDS
from resources.retries import retried
from resources.storage import Storage


class Verdict(NamedTuple):
    """Whether a check passed, and what it saw: few, stable names."""

    passed: bool
    seen: dict[str, Any]


Body = Callable[[dg.AssetCheckExecutionContext, str], Verdict]


def check(
    asset: str,
    *,
    blocking: bool = False,
    partitions: dg.PartitionsDefinition | None = SHARDS,
    name: str | None = None,
) -> Callable[[Body], dg.AssetChecksDefinition]:
    """Declare a check named `name`, or as the function, and described by its docstring.

    A blocking one stops everything downstream in its run; another one only warns.
    """

    def declare(body: Body) -> dg.AssetChecksDefinition:
        severity = dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN

        def run(context: dg.AssetCheckExecutionContext, storage: Storage) -> dg.AssetCheckResult:
            passed, seen = body(context, storage.url)
            return dg.AssetCheckResult(passed=passed, severity=severity, metadata=seen)

        with warnings.catch_warnings():
            # Results by partition are a preview in Dagster; without them a shard's failure would be hidden by the next.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return dg.asset_check(
                asset=key(asset),
                name=name or body.__name__,
                description=body.__doc__,
                blocking=blocking,
                partitions_def=partitions,
            )(retried(run))

    return declare
