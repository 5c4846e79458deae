"""When Dagster does something by itself: the switch, and the rule by which an asset follows what it is made of."""

import os
from typing import Any

import dagster as dg

AUTOMATION_VARIABLE = "AUDIOBUFF_AUTOMATION"
ON = ("1", "on", "true", "yes")

INCOMING_VARIABLE = "AUDIOBUFF_INCOMING"
SETTLE_VARIABLE = "AUDIOBUFF_SETTLE_SECONDS"
SETTLE_SECONDS = 10.0
TICK_VARIABLE = "AUDIOBUFF_TICK_SECONDS"
RETRAINING_VARIABLE = "AUDIOBUFF_RETRAINING"
SUNDAYS_AT_TWO = "0 2 * * 0"
SHARD_VARIABLE = "AUDIOBUFF_TRACKS_PER_SHARD"
TRACKS_PER_SHARD = 32


def is_on() -> bool:
    """Whether AUDIOBUFF_AUTOMATION asks for everything automatic to start with Dagster."""
    return os.environ.get(AUTOMATION_VARIABLE, "").lower() in ON


def sensor_status() -> dg.DefaultSensorStatus:
    """Stopped, unless everything was switched on; a person's own switch in the browser wins over it."""
    return dg.DefaultSensorStatus.RUNNING if is_on() else dg.DefaultSensorStatus.STOPPED


def schedule_status() -> dg.DefaultScheduleStatus:
    """As `sensor_status`."""
    return dg.DefaultScheduleStatus.RUNNING if is_on() else dg.DefaultScheduleStatus.STOPPED


def tick_seconds(usual: int) -> int:
    """How often a sensor looks: as `usual`, or the variable AUDIOBUFF_TICK_SECONDS."""
    return int(os.environ.get(TICK_VARIABLE, "") or usual)


def retraining_times() -> str:
    """When retraining is considered, as a cron line: the variable AUDIOBUFF_RETRAINING, or Sundays at 02:00 UTC."""
    return os.environ.get(RETRAINING_VARIABLE, "") or SUNDAYS_AT_TWO


def tracks_per_shard() -> int:
    """Recordings a shard: the variable AUDIOBUFF_TRACKS_PER_SHARD, or 32."""
    return int(os.environ.get(SHARD_VARIABLE, "") or TRACKS_PER_SHARD)


def settle_seconds() -> float:
    """How long a dropped file must have been left alone before it counts as whole."""
    return float(os.environ.get(SETTLE_VARIABLE, "") or SETTLE_SECONDS)


def when_inputs_change(*, whole: bool = True) -> dg.AutomationCondition[Any]:
    """Make what is missing, and again what an input changed under: its data version, not merely its date.

    `AutomationCondition.eager()` would redo everything downstream of a shard that was made again just the same, and
    nothing that was already missing when it was switched on. What failed is left to a person. An asset that takes all
    partitions of its input waits for the `whole` of them, or else for those being made to end.
    """
    condition = dg.AutomationCondition
    changed = condition.any_deps_match(condition.data_version_changed()).with_label("an input's data changed")
    wanted = (condition.newly_missing().with_label("it is missing") | changed).since(
        condition.newly_requested() | condition.newly_updated()
    )
    there = (
        ~condition.any_deps_missing()
        if whole
        else condition.any_deps_match(~condition.missing()).with_label("any_deps_there")
    )
    return (wanted & there & ~condition.any_deps_in_progress() & ~condition.in_progress()).with_label("keep current")
