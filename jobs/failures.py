"""One notification for each run that failed."""

import json
import os
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from audiobuff_core.errors import InvalidConfig
from resources.automation import sensor_status, tick_seconds
from resources.redaction import redacted

WEBHOOK_VARIABLE = "AUDIOBUFF_WEBHOOK"
BROWSER_VARIABLE = "AUDIOBUFF_BROWSER"
LOG_NAME = "failed_runs.log"
TIMEOUT_SECONDS = 10.0
WAITS_SECONDS = (1.0, 3.0)
MAX_CHARACTERS = 500


@dg.run_failure_sensor(
    default_status=sensor_status(),
    minimum_interval_seconds=tick_seconds(30),
    description=(
        "Notify once of every run that failed, with its link.\n\n"
        f"A line of `{LOG_NAME}` in the Dagster home, and a JSON message {{text}} to the URL {WEBHOOK_VARIABLE} where "
        f"that is set (Slack, Mattermost and the like take it). {BROWSER_VARIABLE} is the address of this browser in "
        "the link. A run that Dagster starts again by itself is not reported."
    ),
)
def report_failed_runs(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
    """Write the line, then call the webhook."""
    run = context.dagster_run
    if run.tags.get("dagster/will_retry") == "true":
        return dg.SkipReason(f"Run {run.run_id} failed and is started again.")
    text = notification(run, reason_of(context))
    if was_told(context.instance, run.run_id):
        return dg.SkipReason(f"Run {run.run_id} was reported before.")
    with log_path(context.instance).open("a", encoding="utf-8") as log:
        log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {text}\n")
    if webhook := os.environ.get(WEBHOOK_VARIABLE, ""):
        call_webhook(webhook, text)
    return None


def notification(run: dg.DagsterRun, reason: str) -> str:
    """One line: what failed, why, and where to look."""
    partition = run.tags.get("dagster/partition")
    what = run.job_name if run.job_name != "__ASSET_JOB" else "a materialisation"
    browser = os.environ.get(BROWSER_VARIABLE, "") or "http://127.0.0.1:3000"
    where = f" for {partition}" if partition else ""
    return f"AudioBuff: {what}{where} failed: {reason} {browser.rstrip('/')}/runs/{run.run_id}"


def reason_of(context: dg.RunFailureSensorContext) -> str:
    """Why, in one line without secrets: of the steps that failed, else of the run."""
    found = []
    for event in context.get_step_failure_events():
        failure, error = event.step_failure_data.user_failure_data, event.step_failure_data.error
        if failure is not None and failure.description:
            found.append(failure.description)  # one of ours, made to be read
        elif error is not None:
            found.append(" ".join((error.cause or error).message.split()))
    found += reasons_of_checks(context.instance, context.dagster_run.run_id)
    return redacted(" ".join(found) or context.failure_event.message or "no reason given")[:MAX_CHARACTERS]


def reasons_of_checks(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """What each check that the run did not pass gives as its reason."""
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    evaluations = [event.asset_check_evaluation_data for event in events]
    return [str(one.metadata["reason"].value) for one in evaluations if not one.passed and "reason" in one.metadata]


def log_path(instance: dg.DagsterInstance) -> Path:
    """The file of notifications, in the Dagster home."""
    return Path(instance.root_directory) / LOG_NAME


def was_told(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether the log has the run: a tick that was cut off comes again."""
    place = log_path(instance)
    return place.exists() and run_id in place.read_text(encoding="utf-8")


def call_webhook(url: str, text: str) -> None:
    """Post `text`.

    Raises:
        InvalidConfig: the URL is none, or does not take it; the URL itself may be a secret and is not in the message.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise InvalidConfig(f"{WEBHOOK_VARIABLE} is no URL: expected one that begins with https://")
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked
        url, json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}
    )
    for wait_seconds in (*WAITS_SECONDS, None):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310
                return
        except OSError as error:  # HTTPError is one
            if wait_seconds is None:
                said = getattr(error, "code", None) or type(error).__name__
                raise InvalidConfig(
                    f"The webhook at {urllib.parse.urlsplit(url).hostname} did not take the notification ({said}); it "
                    f"is in {LOG_NAME}. Check {WEBHOOK_VARIABLE}."
                ) from None
            time.sleep(wait_seconds)
