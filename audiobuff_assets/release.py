"""Group `release`: the newest network is compared with the champion and takes its place only if it is not worse."""

from typing import Any

import dagster as dg

from audiobuff_assets.columns import POINTER, columns
from audiobuff_assets.results import OWNERS, TAGS, key, materialized, path_of
from resources.code_version import code_version
from resources.retries import RETRIES, retried
from resources.storage import Storage


@dg.asset(
    key=key("model/candidate"),
    metadata=columns(POINTER),
    group_name="release",
    deps=[key("model/dit_checkpoint"), key("evaluation/leaderboard")],
    kinds={"python", "json"},
    code_version=code_version("audiobuff_core.evaluation.release"),
    owners=OWNERS,
    tags=TAGS,
    retry_policy=RETRIES,
)
@retried
def candidate(context: dg.AssetExecutionContext, storage: Storage) -> dg.MaterializeResult[Any]:
    """The newest trained network, proposed for release.

    **No partitions.** **Bytes**: `release/candidate.json`, a pointer to the checkpoint with its measurements.

    **Guarded by** `not_worse_than_champion` (blocks the promotion).
    """
    from audiobuff_assets.pictures import gains_found
    from audiobuff_core.evaluation.release import propose_candidate

    checkpoint = path_of(context, "model/dit_checkpoint").rstrip("/").rsplit("/", 1)[-1]
    made = propose_candidate(storage.url, checkpoint)
    found = {"checkpoint": checkpoint, **gains_found(storage.url, checkpoint, made.metrics)}
    return materialized(context, made, options={}, metadata=found)


@dg.asset(
    key=key("model/champion"),
    metadata=columns(POINTER),
    group_name="release",
    deps=[candidate],
    kinds={"python", "json"},
    code_version=code_version("audiobuff_core.evaluation.release"),
    owners=OWNERS,
    tags=TAGS,
    retry_policy=RETRIES,
)
@retried
def champion(context: dg.AssetExecutionContext, storage: Storage) -> dg.MaterializeResult[Any]:
    """The network that repairs what users bring.

    **No partitions.** **Bytes**: `release/champion.json`, a pointer, and `release/history.jsonl`.

    It changes only after `not_worse_than_champion` passed on the candidate. **Guarded by** `weights_reload` (blocks).
    """
    from audiobuff_assets.pictures import gains_found
    from audiobuff_core.evaluation.release import promote

    made = promote(storage.url)
    found = {"checkpoint": made.checkpoint, **gains_found(storage.url, made.checkpoint, made.metrics)}
    return materialized(context, made, options={}, metadata=found)
