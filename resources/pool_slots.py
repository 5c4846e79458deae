"""Waiting for a slot of a pool asleep, and ending the wait when the run is cancelled.

A run whose step waits for a slot asks for it every second and is meant to sleep meanwhile. In Dagster 1.13 it does not,
as the time to the next question is reckoned to be none: it keeps a core busy, of which small machines have few. And it
heeds a cancellation only when a step begins, which may be hours later.
"""

import time

from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.plan import instance_concurrency_context
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._utils.interrupts import check_captured_interrupt

FIRST_WAIT_SECONDS = 0.2
"""Instead of a second; it grows with every question."""
LONGEST_SLEEP_SECONDS = 0.5


def sleep_while_blocked() -> None:
    """From now on, in this process."""
    instance_concurrency_context.INITIAL_INTERVAL_VALUE = FIRST_WAIT_SECONDS  # type: ignore[assignment]
    InstanceConcurrencyContext.interval_to_next_pending_claim_check = _until_next_claim  # type: ignore[method-assign]


def _until_next_claim(self: InstanceConcurrencyContext) -> float:
    if check_captured_interrupt():
        raise DagsterExecutionInterruptedError
    now = time.time()
    wait = min((moment - now for moment in self._pending_timeouts.values()), default=0.0)
    return min(max(wait, 0.0), LONGEST_SLEEP_SECONDS)
