"""What orchestration costs on one machine, with many shards registered.

Definitions: a fresh process imports them (torch must stay out). Ticks: `register_new_audio` and the automation
conditions of `keep_latents_current`, when nothing is new, with `--shards` shards whose every asset is materialised.
Overhead a shard: the time from the end of one run to that of the next, mean over a live backfill of `--batch` shards of
one short recording each (six assets, fourteen checks, three pictures, every event in the history), over the time that
the core alone takes to make the same files in a process that is warm. Start of a backfill: from its request to the end
of its first run; Dagster's daemon looks for backfills every half minute. Memory: resident, of the web server, the
daemon, the code server and the process that runs are forked from, when the backfill is done.
"""

import argparse
import hashlib
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import psutil
import soundfile
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor
from dagster._core.definitions.automation_tick_evaluation_context import AutomationTickEvaluationContext
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import deserialize_value, serialize_value

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_assets.definitions import defs
from audiobuff_core.codecs.registry import EncoderChoice
from audiobuff_core.data.library import Shard, load_shard, new_track, write_shard
from audiobuff_core.files import write_json
from jobs.sensors import keep_latents_current, register_new_audio
from resources.process_tree import descendants
from resources.sqlite_files import commit_without_waiting, held_open, keep_engines
from resources.storage import Storage

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "dagster"))
from browser import dagster_dev

ASSETS = (
    "audio/pristine",
    "degradation/plan",
    "audio/degraded",
    "latents/target",
    "latents/structure",
    "latents/semantic",
)
COPY_EVENTS = """insert into event_logs (run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition)
select run_id, replace(event, :first, :key), dagster_event_type, timestamp, step_key, asset_key, :key
from event_logs where partition = :first"""
COPY_VERSIONS = """insert into asset_event_tags (event_id, asset_key, key, value, event_timestamp)
select id, asset_key, 'dagster/data_version', partition, timestamp from event_logs where partition != :first"""
LOAD = (
    "import sys, time\nbegin, cpu = time.perf_counter(), time.process_time()\nimport audiobuff_assets.definitions\n"
    "print(time.perf_counter() - begin, time.process_time() - cpu, 'torch' in sys.modules)"
)


def measure_loading() -> dict[str, Any]:
    """Seconds to import the definitions, best of three."""
    runs = [subprocess.run([sys.executable, "-c", LOAD], check=True, capture_output=True, text=True) for _ in range(3)]
    rows = [run.stdout.split() for run in runs]
    return {
        "wall_seconds": min(float(row[0]) for row in rows),
        "cpu_seconds": min(float(row[1]) for row in rows),
        "imports_torch": any(row[2] == "True" for row in rows),
    }


def make_recordings(folder: Path, count: int, num_samples: int) -> None:
    """`count` different recordings of noise at 8 kHz."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    for number in range(count):
        soundfile.write(folder / f"{number:05}.wav", generator.uniform(-0.3, 0.3, num_samples), 8000)


def register_all(instance: dg.DagsterInstance, root: str, folder: Path) -> None:
    """A shard a recording, all of whose assets are materialised."""
    keys = []
    for place in sorted(folder.iterdir()):
        track = new_track(str(place), hashlib.sha256(place.read_bytes()).hexdigest())
        keys.append(f"20260101-{track.file_hash[:8]}")
        write_shard(root, Shard(keys[-1], (track,)))
    instance.add_dynamic_partitions("shards", keys)
    first, *rest = keys
    for name in ASSETS:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                dg.AssetKey.from_user_string(name), partition=first, tags={"dagster/data_version": first}
            )
        )
    assert isinstance(instance.event_log_storage, SqliteEventLogStorage)
    with sqlite3.connect(instance.event_log_storage.path_for_shard("index")) as index:
        # Copies of the events of the first: through Dagster 30,000 of them take minutes.
        index.executemany(COPY_EVENTS, [{"first": first, "key": key} for key in rest])
        index.execute(COPY_VERSIONS, {"first": first})


def measure_ticks(num_shards: int) -> dict[str, float]:
    """Seconds of a tick that finds nothing new."""
    with tempfile.TemporaryDirectory() as place, dg.instance_for_test(temp_dir=place) as instance:
        root, folder = f"{place}/root", Path(place) / "recordings"
        make_recordings(folder, num_shards, 400)
        register_all(instance, root, folder)
        os.environ |= {"AUDIOBUFF_INCOMING": str(folder), "AUDIOBUFF_SETTLE_SECONDS": "0"}
        sensor = register_new_audio(corpus_folder())

        def tick() -> Any:  # noqa: ANN401
            context = dg.build_sensor_context(
                instance=instance,
                instance_ref=instance.get_ref(),
                definitions=defs,
                resources={"storage": Storage(root=root)},
            )
            return sensor.evaluate_tick(context)

        commit_without_waiting()  # as the processes of Dagster do
        keep_engines()
        with held_open(instance):
            for event in tick().asset_events:  # the first look hashes everything and reports audio/incoming
                instance.report_runless_asset_event(event)
        begin = time.perf_counter()
        assert tick().skip_message
        sensor_seconds = time.perf_counter() - begin
        _, kept = automation_tick(instance, serialize_value(AssetDaemonCursor.empty()))
        begin = time.perf_counter()
        requests, _ = automation_tick(instance, kept)
        assert not requests
        return {"sensor_tick_seconds": sensor_seconds, "automation_tick_seconds": time.perf_counter() - begin}


def automation_tick(instance: dg.DagsterInstance, kept: str) -> tuple[Sequence[dg.RunRequest], str]:
    """What a tick of `keep_latents_current` asks for, and what it keeps for the next, as Dagster's daemon makes it."""
    cursor = deserialize_value(kept, AssetDaemonCursor)
    requests, cursor, _ = AutomationTickEvaluationContext(
        evaluation_id=cursor.evaluation_id + 1,
        asset_graph=defs.resolve_asset_graph(),
        asset_selection=keep_latents_current.asset_selection,
        instance=instance,
        cursor=cursor,
        materialize_run_tags={},
        observe_run_tags={},
        auto_observe_asset_keys=set(),
        emit_backfills=keep_latents_current.emit_backfills,
        logger=logging.getLogger("dagster"),
    ).evaluate()
    return requests, serialize_value(cursor)


def measure_live(batch: int) -> dict[str, Any]:
    """Seconds a shard of a live backfill, of the core alone, and resident memory in MB by process."""
    with tempfile.TemporaryDirectory() as place:
        folder, home = Path(place) / "recordings", Path(place) / "home"
        make_recordings(folder, batch, 4000)
        variables = {"INCOMING": str(folder), "TRACKS_PER_SHARD": "1", "TICK_SECONDS": "2", "SETTLE_SECONDS": "0"}
        environment = {f"AUDIOBUFF_{name}": value for name, value in variables.items()}
        with dagster_dev(home, Path(place) / "log", **environment) as browser:
            browser.wait_for(lambda: len(browser.partitions(ASSETS[0])) == batch, 300)
            first, *rest = browser.partitions(ASSETS[0])
            browser.materialise(ASSETS, [first])  # warms up
            begin = time.time()
            browser.materialise(ASSETS, rest, seconds=1800)
            ends = sorted(run["end"] for run in browser.runs() if run["end"] > begin)
            memory = resident(browser.pid)
        alone = seconds_alone(f"{home}/data", [first, *rest])
    seconds = (ends[-1] - ends[0]) / (len(ends) - 1)
    return {
        "start_seconds": ends[0] - begin,
        "seconds_a_shard": seconds,
        "core_alone": alone,
        "overhead": seconds - alone,
        "resident_mb": memory,
    }


def seconds_alone(root: str, keys: list[str]) -> float:
    """Seconds a shard that the core alone takes, in another root, warmed up by the first."""
    from audiobuff_core.data.damage import degrade_shard, plan_shard
    from audiobuff_core.data.extraction import STREAMS, extract_shard
    from audiobuff_core.data.ingest import ingest_shard

    begin = 0.0
    with tempfile.TemporaryDirectory() as other:
        for number, key in enumerate(keys):
            if number == 1:
                begin = time.perf_counter()
            shard = load_shard(root, key)
            write_shard(other, shard)
            ingest_shard(other, shard)
            plan_shard(other, key)
            degrade_shard(other, key)
            for stream in STREAMS:
                extract_shard(other, key, stream, encoders=EncoderChoice())
        return (time.perf_counter() - begin) / (len(keys) - 1)


def resident(pid: int) -> dict[str, float]:
    """Resident memory in MB of Dagster's processes, by what they are."""
    names = {"dagster_webserver": "webserver", "daemon": "daemon", "code-server": "code server", "grpc": "code server",
             "forkserver": "fork server"}  # fmt: skip
    found: dict[str, float] = {}
    for process in descendants(pid):
        try:
            command, memory = " ".join(process.cmdline()), process.memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            continue
        for mark, name in names.items():
            if mark in command:
                found[name] = round(max(found.get(name, 0.0), memory), 1)
                break
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=5000, help="registered (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=40, help="shards of the backfill (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/orchestration.json"))
    arguments = parser.parse_args()
    loading = measure_loading()
    print(f"definitions load in {loading['wall_seconds']:.1f} s (goal 5), torch imported: {loading['imports_torch']}")
    ticks = measure_ticks(arguments.shards)
    print(f"idle sensor tick with {arguments.shards} shards: {ticks['sensor_tick_seconds']:.2f} s")
    print(f"idle automation tick with {arguments.shards} shards: {ticks['automation_tick_seconds']:.2f} s")
    live = measure_live(arguments.batch)
    print(f"a backfill's first run ends after {live['start_seconds']:.0f} s")
    print(f"a shard: {live['seconds_a_shard']:.2f} s, of which {live['core_alone']:.2f} s are the core's work")
    print(f"overhead a shard: {live['overhead']:.2f} s (goal 1)")
    print("memory, MB: " + ", ".join(f"{name} {value:.0f}" for name, value in sorted(live["resident_mb"].items())))
    write_json(arguments.out, {"shards": arguments.shards, "loading": loading, "ticks": ticks, "live": live})


if __name__ == "__main__":
    main()
