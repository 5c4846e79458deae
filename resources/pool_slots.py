"""Waiting for a slot of a pool asleep.

A run whose step waits for a slot asks for it every second and is meant to sleep meanwhile. In Dagster 1.13 it does not,
as the time to the next question is reckoned to be none: it keeps a core busy, of which small machines have few.
"""

import time

from dagster._core.execution.plan import instance_concurrency_context
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

FIRST_WAIT_SECONDS = 0.2
"""Instead of a second; it grows with every question."""


def sleep_while_blocked() -> None:
    """From now on, in this process."""
    instance_concurrency_context.INITIAL_INTERVAL_VALUE = FIRST_WAIT_SECONDS  # type: ignore[assignment]
    InstanceConcurrencyContext.interval_to_next_pending_claim_check = _until_next_claim  # type: ignore[method-assign]


def _until_next_claim(self: InstanceConcurrencyContext) -> float:
    now = time.time()
    return max(0.0, min((moment - now for moment in self._pending_timeouts.values()), default=0.0))
