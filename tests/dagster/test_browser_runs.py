"""What a person does in the browser, by the requests that the browser makes: each group from an empty home."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from made_corpus import make_corpus

from resources.process_tree import end_tree

pytestmark = pytest.mark.slow
KINDS = ["seed", "clean"]
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


class Browser:
    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query, **variables):
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        return found["data"]

    def wait_for(self, condition, seconds):
        deadline = time.monotonic() + seconds
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

    def materialise(self, names, partitions=None, config=None, seconds=300):
        """Press `Materialize` on assets, for all partitions given."""
        keys = [{"path": name.split("/")} for name in names]
        if partitions is None:
            selector = {
                "repositoryLocationName": "audiobuff",
                "repositoryName": "__repository__",
                "jobName": "__ASSET_JOB",
                "assetSelection": keys,
            }
            params = {"selector": selector, "runConfigData": config or {}, "mode": "default"}
            answer = self.ask(LAUNCH_RUN, params=params)["launchPipelineExecution"]
            assert answer["__typename"] == "LaunchRunSuccess", answer
            query, identity, field = RUN, answer["run"]["runId"], "runOrError"
        else:
            params = {"assetSelection": keys, "partitionNames": partitions}
            answer = self.ask(LAUNCH_BACKFILL, params=params)["launchPartitionBackfill"]
            assert answer["__typename"] == "LaunchBackfillSuccess", answer
            query, identity, field = BACKFILL, answer["backfillId"], "partitionBackfillOrError"

        def ended():
            status = self.ask(query, id=identity)[field]["status"]
            return status if status in ("SUCCESS", "FAILURE", "CANCELED") or status.startswith("COMPLETED") else None

        assert self.wait_for(ended, seconds) in ("SUCCESS", "COMPLETED_SUCCESS"), names


@pytest.fixture
def browser(tmp_path):
    corpus, home = tmp_path / "corpus", tmp_path / "home"
    make_corpus(corpus)
    (home / "data").mkdir(parents=True)
    shutil.copytree(corpus / "inbox", home / "data" / "inbox")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "AUDIOBUFF_ROOT"}
    environment |= {"AUDIOBUFF_INCOMING": str(corpus), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-m", "audiobuff_assets.cli", "dev", "--home", str(home), "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            yield Browser(port)
        finally:
            end_tree(server.pid, grace_seconds=(20, 5, 5))
            server.wait(10)


@pytest.mark.timeout(900)
def test_each_group_materialises_from_nothing(browser):
    shards = browser.wait_for(lambda: browser.partitions("audio/pristine"), 120)
    assert browser.wait_for(lambda: browser.partitions("restoration/restored"), 60)
    browser.materialise(["audio/pristine"], shards)
    browser.materialise(["degradation/plan", "audio/degraded"], shards)
    browser.materialise(["latents/target", "latents/structure", "latents/semantic"], shards)
    browser.materialise(
        ["dataset/training_snapshot", "model/dit_checkpoint"],
        config={"ops": {"model__dit_checkpoint": {"config": {"profile": "test"}}}},
    )
    browser.materialise(["evaluation/degraded"], KINDS)
    evaluations = [found for found in browser.partitions("evaluation/metrics") if found.split("|")[1] in KINDS]
    assert len(evaluations) == len(KINDS)
    browser.materialise(["evaluation/restorations", "evaluation/metrics"], evaluations)
    browser.materialise(["evaluation/leaderboard"])
    browser.materialise(["model/candidate", "model/champion"])
    browser.materialise(["restoration/restored"], browser.partitions("restoration/restored"))
