"""A training in a living Dagster: cancelled, killed and gone on with, with no process and no slot left behind."""

import json
import os
import random
import signal
import time

import psutil
import pytest
from browser import dagster_dev
from made_corpus import make_corpus

from resources.process_marks import PROCESS_TAG, living_process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
NUM_CANCELS = int(os.environ.get("AUDIOBUFF_TEST_CANCELS", "3"))
VARIABLES = {
    "AUDIOBUFF_ENV": "test",  # gives up on stubborn ranks after seconds
    "AUDIOBUFF_PRESET": "test",
    "AUDIOBUFF_TICK_SECONDS": "3",
    "AUDIOBUFF_SETTLE_SECONDS": "0",
}
SHARD_ASSETS = ["audio/pristine", "degradation/plan", "audio/degraded"]
LATENTS = ["latents/target", "latents/structure", "latents/semantic"]


@pytest.fixture(scope="module")
def dagster(tmp_path_factory):
    """A browser, and the folder of checkpoints of its home, which has a snapshot to train on."""
    folder = tmp_path_factory.mktemp("live")
    make_corpus(folder / "corpus")
    variables = {**VARIABLES, "AUDIOBUFF_INCOMING": str(folder / "corpus")}
    with dagster_dev(folder / "home", folder / "log", **variables) as browser:
        shards = browser.wait_for(lambda: browser.partitions("audio/pristine"), 120)
        browser.materialise([*SHARD_ASSETS, *LATENTS], shards)
        browser.materialise(["dataset/training_snapshot"])
        yield browser, folder / "home" / "data" / "checkpoints"


class Training:
    """One training, by its seed, in as many runs as it takes."""

    def __init__(self, dagster, seed):
        self.browser, self.folder = dagster
        self.known = set(self.folder.glob("*"))
        self.config = {"profile": "demo", "num_processes": 2, "seed": seed}

    def launch(self):
        config = {"ops": {"model__dit_checkpoint": {"config": self.config}}}
        return self.browser.launch(["model/dit_checkpoint"], config)

    def steps(self):
        logs = [found / "training_log.jsonl" for found in set(self.folder.glob("*")) - self.known]
        rows = [row for log in logs if log.exists() for row in log.read_text().splitlines()]
        return [row["step"] for row in map(json.loads, rows) if "loss" in row]

    def saved(self):
        return [
            path for found in set(self.folder.glob("*")) - self.known for path in found.glob("checkpoint_epoch_*.pt")
        ]

    def wait_for_more_steps(self):
        seen = len(self.steps())
        self.browser.wait_for(lambda: len(self.steps()) > seen, 120)

    def assert_nothing_is_left(self):
        assert self.browser.wait_for(lambda: not processes_of(self.folder) and [True], 30)
        assert self.browser.claimed("gpu") == 0

    def assert_cancelled(self, run, seconds=60):
        assert self.browser.ended_run(run, seconds) == "CANCELED"
        self.assert_nothing_is_left()


def processes_of(folder):
    """The processes that were told to train into `folder`, by rank; torchrun is None."""
    found = {}
    for process in psutil.process_iter(["cmdline", "status"]):
        told = any(f"--checkpoint_dir={folder}" in argument for argument in process.info["cmdline"] or ())
        if told and process.info["status"] != psutil.STATUS_ZOMBIE:
            found[process.environ().get("RANK")] = process
    return found


def test_a_cancelled_training_is_saved_and_goes_on_where_it_stopped(dagster):
    training = Training(dagster, seed=1)
    first = training.launch()
    training.wait_for_more_steps()
    training.browser.terminate(first)
    training.assert_cancelled(first)
    assert training.saved()
    reached = training.steps()[-1]
    second = training.launch()  # the pool's one slot is free, or it would wait
    training.wait_for_more_steps()
    training.browser.terminate(second)
    training.assert_cancelled(second)
    steps = training.steps()
    assert steps == sorted(set(steps))
    assert steps[-1] > reached


def test_ranks_that_ignore_signals_are_killed(dagster):
    training = Training(dagster, seed=2)
    run = training.launch()
    training.wait_for_more_steps()
    processes_of(training.folder)["1"].send_signal(signal.SIGSTOP)  # now it hears nothing but SIGKILL
    training.browser.terminate(run)
    training.assert_cancelled(run)


def test_a_step_that_was_killed_leaves_nothing_and_is_started_once_more_soon(dagster):
    training = Training(dagster, seed=3)
    browser, run = training.browser, training.launch()
    training.wait_for_more_steps()
    (mark,) = [found[PROCESS_TAG] for found in browser.runs() if found["id"] == run]
    os.kill(living_process(mark), signal.SIGKILL)  # as a shortage of memory would
    assert browser.wait_for(lambda: not processes_of(training.folder) and [True], 10)
    assert browser.ended_run(run, 30) == "FAILURE"
    (again,) = browser.wait_for(
        lambda: [found["id"] for found in browser.runs() if found.get("dagster/parent_run_id") == run], 30
    )
    browser.wait_for(lambda: processes_of(training.folder), 60)  # the slot of the dead came free
    browser.terminate(again)
    training.assert_cancelled(again)


def test_cancels_at_random_moments(dagster):
    draw = random.Random(11)
    for number in range(NUM_CANCELS):
        training = Training(dagster, seed=100 + number // 4)
        run = training.launch()
        if draw.random() < 0.5:
            training.browser.wait_for(lambda: processes_of(dagster[1]), 60)
        moment = draw.uniform(0, 12)
        time.sleep(moment)
        began = time.monotonic()
        training.browser.terminate(run)
        training.assert_cancelled(run)
        time.sleep(3)
        training.assert_nothing_is_left()  # nor comes later, where it was only starting
        print(f"cancel {number + 1}: after {moment:.1f} s, over in {time.monotonic() - began:.1f} s")
