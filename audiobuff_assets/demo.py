"""The main job, end to end: the jobs that the browser shows, one after the other, on the bundled corpus."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_assets.definitions import defs
from audiobuff_assets.memory import PeakMemory
from audiobuff_assets.options import DemoOptions
from audiobuff_assets.publish import publish
from audiobuff_assets.results import key
from audiobuff_assets.runner import Runner
from audiobuff_assets.summary import Costs, Summary, make_summary, remember_costs
from audiobuff_core.data.library import list_shards
from audiobuff_core.errors import OutputNotWritable
from jobs.registration import find_arrivals, record_arrivals
from resources.currency import recorded
from resources.instance import fail_dead_runs, open_instance, prepare_home
from resources.partitions import DAMAGE_KINDS, evaluation_key
from resources.storage import storage_root

CHECKPOINT = "checkpoint"


def run_demo(options: DemoOptions) -> Summary:
    """Make everything that is not current, and publish it.

    Raises:
        AudioBuffError: a step failed; what was finished stays and is not made again.
    """
    with opened(options) as instance, PeakMemory() as memory:
        begin = time.perf_counter()
        runner = Runner(instance, defs, options)
        root = storage_root()
        record_arrivals(instance, find_arrivals(instance, root, corpus_folder(), bundled=True))
        kinds = DAMAGE_KINDS.get_partition_keys()
        runner.stage("encode_new_audio", "1/5 Damage and encode recordings", list_shards(root))
        runner.stage("train_restoration_model", "2/5 Train the network", [None], bars=False)
        runner.stage("damage_held_out_audio", "3/5 Damage unseen recordings", kinds)
        checkpoint = trained_checkpoint(instance)
        assert checkpoint is not None
        evaluations = [evaluation_key(checkpoint, kind) for kind in kinds]
        runner.stage("evaluate_checkpoint", "4/5 Restore and measure them", evaluations)
        runner.stage("refresh_leaderboard", "5/5 Write the report", [None])
        costs = Costs(runner.seconds, time.perf_counter() - begin, memory.megabytes)
        summary = make_summary(instance, root, checkpoint, options, remember_costs(options.home, costs))
        publish(summary, root, checkpoint, options.publish_folder)
        return summary


@contextmanager
def opened(options: DemoOptions) -> Iterator[dg.DagsterInstance]:
    """The demo's instance, for this process alone, cleared of runs that were killed.

    Raises:
        OutputNotWritable: the place can't be written, or another demo is at work in it.
    """
    home = prepare_home(options.home)
    with _alone(home), open_instance(home) as instance:
        fail_dead_runs(instance)
        yield instance


def trained_checkpoint(instance: dg.DagsterInstance) -> str | None:
    """The key of the newest checkpoint, None if none was trained."""
    return recorded(instance, key("model/dit_checkpoint"), None, CHECKPOINT)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    with (home / "demo.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel frees it when we die
        except BlockingIOError as error:
            lock.seek(0)
            raise OutputNotWritable(
                f"Another demo (process {lock.read().strip()}) is at work in {home}: "
                "wait for it, or choose another --out."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
