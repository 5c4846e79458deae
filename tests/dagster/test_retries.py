"""A step is tried again where that can help, and only there."""

import dagster as dg
import pytest

from audiobuff_core.errors import DataMissing, OutputNotWritable
from resources.retries import RETRIES, retried


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (OSError("the store is out"), 1 + RETRIES.max_retries),
        (OutputNotWritable("the disk is full"), 1 + RETRIES.max_retries),
        (DataMissing("nothing is there"), 1),
        (ModuleNotFoundError("No module named 'dac'"), 1),
        (TypeError("a fault of the code"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_only_what_may_pass_is_tried_again(place, error, attempts):
    seen = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=RETRIES.max_retries))  # without their waits
    @retried
    def failing():
        seen.append(error)
        raise error

    result = dg.materialize([failing], instance=place.instance, raise_on_error=False)
    assert not result.success
    assert len(seen) == attempts
    if attempts == 1:
        (event,) = [one for one in result.all_events if one.is_step_failure]
        assert str(error) in event.step_failure_data.user_failure_data.description
