"""Dagster as a person runs it, web server and daemon, and the requests that the browser makes."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

from resources.process_tree import end_tree

LAUNCH_RUN = """
mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
LAUNCH_BACKFILL = """
mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""
BACKFILL = "query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
RUN = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
PARTITIONS = """
query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { partitionKeys } } }
"""


TERMINATE = """
mutation($id: String!, $policy: TerminateRunPolicy) { terminateRun(runId: $id, terminatePolicy: $policy) {
  __typename ... on TerminateRunFailure { message } } }
"""
COUNTS = """
query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { partitionStats {
  numMaterialized numFailed numPartitions } } } }
"""
NEWEST = """
query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  assetMaterializations(limit: 1) { runId } } } }
"""
SLOTS = "query($pool: String) { instance { concurrencyLimit(concurrencyKey: $pool) { claimedSlots { runId } } } }"
RUNS = "query { runsOrError { ... on Runs { results { runId status endTime tags { key value } } } } }"
VERDICTS = """
query($key: AssetKeyInput!, $check: String!) { assetCheckExecutions(assetKey: $key, checkName: $check, limit: 1) {
  evaluation { success metadataEntries { label ... on TextMetadataEntry { text } } } } }
"""
DRY_RUN = """
mutation($selector: ScheduleSelector!, $moment: Float) { scheduleDryRun(selectorData: $selector, timestamp: $moment) {
  __typename ... on DryRunInstigationTick { evaluationResult {
    skipReason runRequests { runKey } error { message } } } } }
"""
ENDS = ("SUCCESS", "FAILURE", "CANCELED")


class Browser:
    def __init__(self, port, pid):
        self.pid, self.url = pid, f"http://127.0.0.1:{port}/graphql"

    def ask(self, query, **variables):
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        return found["data"]

    def wait_for(self, condition, seconds):
        deadline = time.monotonic() + seconds * float(os.environ.get("AUDIOBUFF_PATIENCE", "1"))  # on a busy machine
        while time.monotonic() < deadline:
            try:
                if found := condition():
                    return found
            except OSError:
                pass  # not up yet
            time.sleep(1)
        raise AssertionError("never happened")

    def partitions(self, name):
        node = self.ask(PARTITIONS, key={"path": name.split("/")})["assetNodeOrError"]
        return node.get("partitionKeys") or []

    def launch(self, names, config=None):
        """Press `Materialize` on assets without partitions; the run's id."""
        selector = {
            "repositoryLocationName": "audiobuff",
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": name.split("/")} for name in names],
        }
        params = {"selector": selector, "runConfigData": config or {}, "mode": "default"}
        answer = self.ask(LAUNCH_RUN, params=params)["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]

    def backfill(self, names, partitions):
        """Press `Materialize` on assets for the partitions; the backfill's id."""
        params = {"assetSelection": [{"path": name.split("/")} for name in names], "partitionNames": partitions}
        answer = self.ask(LAUNCH_BACKFILL, params=params)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return answer["backfillId"]

    def ended_run(self, run_id, seconds=300):
        """The status in which the run ends."""
        return self._ended(lambda: self.ask(RUN, id=run_id)["runOrError"]["status"], seconds)

    def ended_backfill(self, backfill_id, seconds=300):
        """The status in which the backfill ends."""
        return self._ended(lambda: self.ask(BACKFILL, id=backfill_id)["partitionBackfillOrError"]["status"], seconds)

    def _ended(self, status, seconds):
        def found():
            now = status()
            return now if now in ENDS or now.startswith("COMPLETED") else None

        return self.wait_for(found, seconds)

    def materialise(self, names, partitions=None, config=None, seconds=300):
        """Materialise assets, for all partitions given, to a good end."""
        if partitions is None:
            assert self.ended_run(self.launch(names, config), seconds) == "SUCCESS", names
        else:
            assert self.ended_backfill(self.backfill(names, partitions), seconds) == "COMPLETED_SUCCESS", names

    def terminate(self, run_id):
        """Press `Terminate`, and of a run that is just starting `Force termination`, as Dagster wants it."""
        answer = self.ask(TERMINATE, id=run_id)["terminateRun"]
        if "status STARTING" in answer.get("message", ""):
            answer = self.ask(TERMINATE, id=run_id, policy="MARK_AS_CANCELED_IMMEDIATELY")["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def counts(self, name):
        """Partitions of an asset: {numMaterialized, numFailed, numPartitions}."""
        node = self.ask(COUNTS, key={"path": name.split("/")})["assetNodeOrError"]
        return node.get("partitionStats") or {}

    def newest(self, name):
        """The run that materialised an asset last, None if none did."""
        node = self.ask(NEWEST, key={"path": name.split("/")})["assetNodeOrError"]
        found = node.get("assetMaterializations") or []
        return found[0]["runId"] if found else None

    def verdict(self, name, check):
        """Whether the newest result of a check is good, and what it saw in words; None if there is none."""
        found = self.ask(VERDICTS, key={"path": name.split("/")}, check=check)["assetCheckExecutions"]
        if not found or found[0]["evaluation"] is None:
            return None
        entries = found[0]["evaluation"]["metadataEntries"]
        return found[0]["evaluation"]["success"], {entry["label"]: entry.get("text") for entry in entries}

    def dry_run(self, schedule):
        """Press `Preview tick result` of a schedule: why it skips, or nothing if it would launch a run."""
        selector = {
            "repositoryLocationName": "audiobuff",
            "repositoryName": "__repository__",
            "scheduleName": schedule,
        }
        tick = self.ask(DRY_RUN, selector=selector, moment=time.time())["scheduleDryRun"]
        assert tick["__typename"] == "DryRunInstigationTick", tick
        result = tick["evaluationResult"]
        assert result["error"] is None, result
        assert result["skipReason"] or result["runRequests"]
        return result["skipReason"] or ""

    def claimed(self, pool):
        """How many slots of a pool are taken."""
        return len(self.ask(SLOTS, pool=pool)["instance"]["concurrencyLimit"]["claimedSlots"])

    def runs(self):
        """Status, end and tags, the partition among them, of every run, the newest first."""
        rows = self.ask(RUNS)["runsOrError"]["results"]
        return [
            {
                "id": row["runId"],
                "status": row["status"],
                "end": row["endTime"],
                **{tag["key"]: tag["value"] for tag in row["tags"]},
            }
            for row in rows
        ]


@contextmanager
def dagster_dev(home, log, **variables):
    """A `Browser` on `audiobuff dev --home home` with these environment variables; its log goes to the file `log`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUDIOBUFF_")}
    environment |= {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1", **variables}
    command = [sys.executable, "-m", "audiobuff_assets.cli", "dev", "--home", str(home), "--port", str(port)]
    with log.open("a") as written:
        server = subprocess.Popen(command, env=environment, stdout=written, stderr=written, start_new_session=True)
        try:
            yield Browser(port, server.pid)
        finally:
            end_tree(server.pid, grace_seconds=(20, 5, 5))
            server.wait(10)
