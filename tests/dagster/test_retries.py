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


@pytest.mark.parametrize("kind", [OSError, DataMissing])
def test_no_credential_is_in_what_dagster_keeps_of_an_error(place, monkeypatch, kind):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-that-must-not-be-seen")

    @dg.asset
    @retried
    def failing():
        try:
            raise ConnectionError("refused s3cr3t-that-must-not-be-seen")
        except ConnectionError as error:
            raise kind("no answer of https://somebody:unspeakable@store") from error

    result = dg.materialize([failing], instance=place.instance, raise_on_error=False)
    kept = "".join(str(entry) for entry in place.instance.all_logs(result.run_id))
    assert "no answer of https://" in kept
    assert "s3cr3t" not in kept
    assert "unspeakable" not in kept
