"""When Dagster does something by itself: the switch, and the rule by which an asset follows what it is made of."""

import math
import os
from typing import Any

import dagster as dg
from dagster._utils.schedules import is_valid_cron_schedule

from audiobuff_core.errors import InvalidConfig

AUTOMATION_VARIABLE = "AUDIOBUFF_AUTOMATION"
ON, OFF = ("1", "on", "true", "yes"), ("", "0", "off", "false", "no")

INCOMING_VARIABLE = "AUDIOBUFF_INCOMING"
SETTLE_VARIABLE = "AUDIOBUFF_SETTLE_SECONDS"
SETTLE_SECONDS = 10.0
TICK_VARIABLE = "AUDIOBUFF_TICK_SECONDS"
RETRAINING_VARIABLE = "AUDIOBUFF_RETRAINING"
SUNDAYS_AT_TWO = "0 2 * * 0"
SHARD_VARIABLE = "AUDIOBUFF_TRACKS_PER_SHARD"
TRACKS_PER_SHARD = 32


def is_on() -> bool:
    """Whether AUDIOBUFF_AUTOMATION asks for everything automatic to start with Dagster.

    Raises:
        InvalidConfig: it is neither on nor off.
    """
    value = os.environ.get(AUTOMATION_VARIABLE, "").lower()
    if value not in ON + OFF:
        raise InvalidConfig(f"{AUTOMATION_VARIABLE} is {value!r}: expected on or off")
    return value in ON


def sensor_status() -> dg.DefaultSensorStatus:
    """Stopped, unless everything was switched on; a person's own switch in the browser wins over it."""
    return dg.DefaultSensorStatus.RUNNING if is_on() else dg.DefaultSensorStatus.STOPPED


def schedule_status() -> dg.DefaultScheduleStatus:
    """As `sensor_status`."""
    return dg.DefaultScheduleStatus.RUNNING if is_on() else dg.DefaultScheduleStatus.STOPPED


def tick_seconds(usual: int) -> int:
    """How often a sensor looks: as `usual`, or the variable AUDIOBUFF_TICK_SECONDS."""
    return int(number_of(TICK_VARIABLE, usual, least=1))


def retraining_times() -> str:
    """When retraining is considered, as a cron line: the variable AUDIOBUFF_RETRAINING, or Sundays at 02:00 UTC.

    Raises:
        InvalidConfig: it is no cron line.
    """
    line = os.environ.get(RETRAINING_VARIABLE, "") or SUNDAYS_AT_TWO
    if not is_valid_cron_schedule(line):
        raise InvalidConfig(f"{RETRAINING_VARIABLE} is {line!r}: expected a cron line such as {SUNDAYS_AT_TWO!r}")
    return line


def tracks_per_shard() -> int:
    """Recordings a shard: the variable AUDIOBUFF_TRACKS_PER_SHARD, or 32."""
    return int(number_of(SHARD_VARIABLE, TRACKS_PER_SHARD, least=1))


def settle_seconds() -> float:
    """How long a dropped file must have been left alone before it counts as whole."""
    return number_of(SETTLE_VARIABLE, SETTLE_SECONDS, least=0)


def number_of(variable: str, usual: float, *, least: int) -> float:
    """The number that `variable` names, or the `usual` one; not below `least`.

    Raises:
        InvalidConfig: it is none.
    """
    value = os.environ.get(variable, "") or str(usual)
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not least <= number < math.inf:
        raise InvalidConfig(f"{variable} is {value!r}: expected a number from {least} up")
    return number


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
