"""No partition that was made is shown as missing.

Dagster keeps which partitions are made, up to an event. In 1.13 that event may be the plan of another run which came
after the asset's record was read: what was made in between counts as missing for ever, on a busy machine once in some
dozens of runs. Here it is kept up to the newest materialisation of that record.
"""

from typing import Any

from dagster._core.storage import partition_status_cache
from dagster._core.storage.partition_status_cache import AssetStatusCacheValue

_build = partition_status_cache._build_status_cache


def count_every_partition() -> None:
    """From now on, in this process."""
    vars(partition_status_cache)["_build_status_cache"] = _build_up_to_what_was_read


def _build_up_to_what_was_read(
    *,
    stored_cache_value: AssetStatusCacheValue | None,
    asset_record: Any,  # noqa: ANN401
    **others: Any,  # noqa: ANN401
) -> AssetStatusCacheValue | None:
    newest = (asset_record.asset_entry.last_materialization_storage_id if asset_record else None) or 0
    if stored_cache_value is not None and stored_cache_value.latest_storage_id > newest:
        stored_cache_value = None  # kept without this: counted anew
    made = _build(stored_cache_value=stored_cache_value, asset_record=asset_record, **others)
    return None if made is None else made._replace(latest_storage_id=newest)
