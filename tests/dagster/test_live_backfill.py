"""A backfill in a living Dagster, with a bad track and a failing shard."""

import os
import sqlite3
import time

import numpy as np
import pytest
import soundfile
from browser import dagster_dev

pytestmark = pytest.mark.slow
NUM_SHARDS = int(os.environ.get("AUDIOBUFF_TEST_SHARDS", "40"))
SHARD_ASSETS = ["audio/pristine", "degradation/plan", "audio/degraded"]
VARIABLES = {"AUDIOBUFF_PRESET": "test", "AUDIOBUFF_TICK_SECONDS": "3", "AUDIOBUFF_SETTLE_SECONDS": "0"}


@pytest.mark.timeout(2400)
def test_a_backfill_of_many_shards(tmp_path):
    corpus, home = tmp_path / "corpus", tmp_path / "home"
    corpus.mkdir()
    for number in range(2 * NUM_SHARDS - 1):
        samples = np.random.default_rng(number).uniform(-0.3, 0.3, 3000)
        soundfile.write(corpus / f"{number:03}.wav", samples, 8000)
    (corpus / "bad.wav").write_text("no audio")
    variables = {**VARIABLES, "AUDIOBUFF_INCOMING": str(corpus), "AUDIOBUFF_TRACKS_PER_SHARD": "2"}
    with dagster_dev(home, tmp_path / "log", **variables) as browser:
        browser.wait_for(lambda: len(browser.partitions("audio/pristine")) == NUM_SHARDS, 300)
        shards = browser.partitions("audio/pristine")
        failing = shards[NUM_SHARDS // 2]
        pristine = home / "data" / "audio" / "pristine"
        pristine.mkdir(parents=True)
        (pristine / failing).write_text("in the way of a folder")
        began = time.monotonic()
        ended = browser.ended_backfill(browser.backfill(SHARD_ASSETS, shards), 1800)
        print(f"{NUM_SHARDS} shards in {time.monotonic() - began:.0f} s")
        assert ended == "COMPLETED_FAILED"
        for name in SHARD_ASSETS:
            assert browser.counts(name)["numMaterialized"] == NUM_SHARDS - 1, name
        assert [run["dagster/partition"] for run in browser.runs() if run["status"] == "FAILURE"] == [failing]
        assert most_at_once(home) == 1  # audio_io takes one step at a time
        quarantined = [one for one in pristine.glob("*/manifest.json") if "not audio" in one.read_text()]
        assert len(quarantined) == 1
        (pristine / failing).unlink()
        times = {path: path.stat().st_mtime_ns for path in pristine.rglob("*.flac")}
        again = [failing, *shards[:3]]
        assert browser.ended_backfill(browser.backfill(SHARD_ASSETS, again), 300) == "COMPLETED_SUCCESS"
        assert browser.counts("audio/degraded")["numMaterialized"] == NUM_SHARDS
        assert {path: path.stat().st_mtime_ns for path in times} == times


def most_at_once(home):
    """The most steps of the pool `audio_io` that overlapped, from the event logs of the runs."""
    moments = []
    for log in (home / "history" / "runs").glob("*.db"):
        if log.stem == "index":
            continue
        with sqlite3.connect(log) as connection:
            rows = connection.execute(
                "select dagster_event_type, timestamp from event_logs where step_key = 'audio__degraded' and "
                "dagster_event_type in ('STEP_START', 'STEP_SUCCESS')"
            ).fetchall()
        moments += [(moment, 1 if kind == "STEP_START" else -1) for kind, moment in rows]
    running = most = 0
    for _, change in sorted(moments, key=lambda one: (one[0], one[1])):
        running += change
        most = max(most, running)
    return most
