"""What Dagster does by itself: truth tables of sensors, schedules and automation conditions."""

import datetime as dt
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import numpy as np
import pytest
import soundfile

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_assets.definitions import defs
from audiobuff_assets.results import key
from audiobuff_core.data.library import list_shards, load_shard
from audiobuff_core.files import write_json
from jobs.checkpoints import evaluate_new_checkpoint, register_new_checkpoints, release_evaluated_checkpoint
from jobs.dropped_files import restore_dropped_files
from jobs.failures import report_failed_runs
from jobs.registration import FILES_A_LOOK
from jobs.schedules import nightly_audit, turn_of, weekly_retraining
from jobs.sensors import register_new_audio
from resources.currency import FINGERPRINT, fingerprint, latents_digest
from resources.partitions import DAMAGE_KINDS, evaluation_key
from resources.storage import Storage

KINDS = DAMAGE_KINDS.get_partition_keys()
SUNDAY = dt.datetime(2026, 3, 1, 2, tzinfo=dt.UTC)


class Place:
    """An instance with a root, and ticks on it."""

    def __init__(self, instance, folder):
        self.instance, self.root = instance, str(folder / "root")
        self.storage, self.defs = Storage(root=self.root), defs
        self.repository = defs.get_repository_def()
        self.cursors = {}

    def context(self, cursor=None):
        return dg.build_sensor_context(
            instance=self.instance,
            instance_ref=self.instance.get_ref(),
            definitions=self.defs,
            resources={"storage": self.storage},
            cursor=cursor,
        )

    def tick(self, sensor):
        context = self.context(self.cursors.get(sensor.name))
        result = sensor.evaluate_tick(context)
        self.cursors[sensor.name] = result.cursor
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        for request in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        for request in result.run_requests or ():
            partition = {"dagster/partition": request.partition_key} if request.partition_key else {}
            self.instance.create_run_for_job(a_job, tags={**request.tags, **partition})
        return result

    def event(self, name, version, partition=None, **metadata):
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(
                key(name), partition=partition, metadata=metadata, tags={"dagster/data_version": version}
            )
        )

    def checkpoint(self, name):
        write_json(f"{self.root}/checkpoints/{name}/done.json", {"weights_sha256": f"weights of {name}"})
        self.event("model/dit_checkpoint", f"weights of {name}", checkpoint=name, weights_sha256=f"weights of {name}")

    def measure(self, checkpoint):
        for kind in KINDS:
            partition = evaluation_key(checkpoint, kind)
            mark = fingerprint(self.instance, self.repository.asset_graph, key("evaluation/metrics"), partition, {})
            self.event("evaluation/metrics", f"metrics of {partition}", partition, **{FINGERPRINT: mark})


@dg.op
def work():
    pass


@dg.job
def a_job():
    work()


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("AUDIOBUFF_INCOMING", "AUDIOBUFF_INBOX", "AUDIOBUFF_SETTLE_SECONDS", "AUDIOBUFF_WEBHOOK"):
        monkeypatch.delenv(name, raising=False)
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield Place(instance, tmp_path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = tmp_path / "recordings"
    made.mkdir()
    monkeypatch.setenv("AUDIOBUFF_INCOMING", str(made))
    monkeypatch.setenv("AUDIOBUFF_SETTLE_SECONDS", "0")
    return made


def record(path, seed):
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.1, 0.1, 4000), 8000)


def test_recordings_arrive_change_and_vanish(place, folder, monkeypatch):
    sensor = register_new_audio(corpus_folder())
    record(folder / "a.wav", 1)
    monkeypatch.setenv("AUDIOBUFF_SETTLE_SECONDS", "60")
    assert "1 files still being written" in place.tick(sensor).skip_message
    monkeypatch.setenv("AUDIOBUFF_SETTLE_SECONDS", "0")
    assert len(place.tick(sensor).asset_events) == 1
    assert "No new recording" in place.tick(sensor).skip_message
    (shard,) = place.instance.get_dynamic_partitions("shards")
    record(folder / "a.wav", 2)
    (event,) = place.tick(sensor).asset_events
    assert event.partition == shard
    assert place.instance.get_dynamic_partitions("shards") == [shard]
    (folder / "a.wav").unlink()
    record(folder / "b.wav", 3)
    events = place.tick(sensor).asset_events
    assert {type(event) for event in events} == {dg.AssetMaterialization, dg.AssetObservation}
    (gone,) = [event for event in events if isinstance(event, dg.AssetObservation)]
    assert gone.metadata["vanished"].value == 1
    assert "a.wav" in gone.metadata["vanished_first"].value
    assert "1 recordings gone" in place.tick(sensor).skip_message


def test_a_shard_registered_by_a_tick_that_was_cut_off_is_reported_by_the_next(place, folder):
    sensor = register_new_audio(corpus_folder())
    record(folder / "a.wav", 1)
    lost = sensor.evaluate_tick(place.context())
    assert [event.partition for event in place.tick(sensor).asset_events] == [lost.asset_events[0].partition]


def test_a_large_library_comes_in_several_ticks(place, folder, monkeypatch):
    monkeypatch.setattr("jobs.registration.FILES_A_LOOK", 32)
    for seed in range(40):
        record(folder / f"{seed}.wav", seed)
    sensor = register_new_audio(corpus_folder())
    place.tick(sensor)
    assert len(place.instance.get_dynamic_partitions("shards")) == 1
    place.tick(sensor)
    assert len(place.instance.get_dynamic_partitions("shards")) == 2
    assert "No new recording" in place.tick(sensor).skip_message


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_many_files_at_once_are_capped_a_tick_and_all_arrive(place, folder):
    num_files = int(os.environ.get("AUDIOBUFF_TEST_FILES", "1000"))
    generator = np.random.default_rng(0)
    for number in range(num_files):
        soundfile.write(folder / f"{number:05}.wav", generator.uniform(-0.1, 0.1, 64), 8000)
    sensor = register_new_audio(corpus_folder())
    known = 0
    for _ in range(-(-num_files // FILES_A_LOOK)):
        place.tick(sensor)
        before, known = known, sum(len(load_shard(place.root, shard).tracks) for shard in list_shards(place.root))
        assert 0 < known - before <= FILES_A_LOOK
    assert known == num_files
    assert set(place.instance.get_dynamic_partitions("shards")) == set(list_shards(place.root))
    assert place.instance.get_materialized_partitions(key("audio/incoming")) == set(list_shards(place.root))
    assert "No new recording" in place.tick(sensor).skip_message


def test_a_new_checkpoint_is_evaluated_once_on_every_kind_and_then_released_once(place):
    assert "No new materialization" in place.tick(evaluate_new_checkpoint).skip_message
    for kind in KINDS:
        place.event("evaluation/degraded", f"clips of {kind}", kind)
    place.checkpoint("first")
    requests = place.tick(evaluate_new_checkpoint).run_requests
    assert place.instance.get_dynamic_partitions("checkpoints") == ["first"]
    assert {request.job_name for request in requests} == {"evaluate_checkpoint"}
    assert {request.partition_key for request in requests} == {evaluation_key("first", kind) for kind in KINDS}
    assert not place.tick(evaluate_new_checkpoint).run_requests
    assert "under way or failed" in place.tick(release_evaluated_checkpoint).skip_message
    place.measure("first")
    (release,) = place.tick(release_evaluated_checkpoint).run_requests
    assert release.job_name == "release_checkpoint"
    assert "was proposed" in place.tick(release_evaluated_checkpoint).skip_message


def test_kinds_without_clips_get_them_first_and_are_evaluated_then(place):
    place.event(
        "evaluation/degraded",
        "clips",
        KINDS[0],
    )
    place.checkpoint("first")
    requests = place.tick(evaluate_new_checkpoint).run_requests
    jobs = [request.job_name for request in requests]
    assert jobs.count("damage_held_out_audio") == len(KINDS) - 1
    assert jobs.count("evaluate_checkpoint") == 1
    place.event("evaluation/degraded", "clips", KINDS[1])
    (request,) = place.tick(release_evaluated_checkpoint).run_requests
    assert request.partition_key == evaluation_key("first", KINDS[1])


def test_the_champion_is_measured_again_on_clips_that_changed(place):
    for kind in KINDS:
        place.event("evaluation/degraded", f"clips of {kind}", kind)
    place.checkpoint("first")
    place.tick(evaluate_new_checkpoint)
    place.measure("first")
    write_json(f"{place.root}/release/champion.json", {"checkpoint": "first"})
    place.checkpoint("second")
    place.event("evaluation/degraded", "other clips", KINDS[0])
    place.tick(evaluate_new_checkpoint)
    (request,) = place.tick(release_evaluated_checkpoint).run_requests
    assert request.partition_key == evaluation_key("first", KINDS[0])


def test_a_checkpoint_from_elsewhere_is_registered_when_it_is_finished(place):
    write_json(f"{place.root}/checkpoints/theirs/config.json", {})
    assert place.tick(register_new_checkpoints).skip_message
    write_json(f"{place.root}/checkpoints/theirs/done.json", {"weights_sha256": "abc"})
    (event,) = place.tick(register_new_checkpoints).asset_events
    assert event.metadata["checkpoint"].value == "theirs"
    assert place.tick(register_new_checkpoints).skip_message
    assert place.tick(evaluate_new_checkpoint).run_requests


def test_an_event_that_names_no_checkpoint_says_so(place):
    place.event("model/dit_checkpoint", "x")
    assert "names no finished checkpoint" in place.tick(evaluate_new_checkpoint).skip_message


def test_a_dropped_file_is_repaired_once(place, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOBUFF_INBOX", str(tmp_path / "dropped"))
    assert "No new file" in place.tick(restore_dropped_files).skip_message
    (tmp_path / "dropped").mkdir()
    record(tmp_path / "dropped" / "tape.wav", 1)
    assert "No new file" in place.tick(restore_dropped_files).skip_message  # still being written, perhaps
    monkeypatch.setenv("AUDIOBUFF_SETTLE_SECONDS", "0")
    assert "no champion" in place.tick(restore_dropped_files).skip_message
    write_json(f"{place.root}/release/champion.json", {"checkpoint": "first"})
    (request,) = place.tick(restore_dropped_files).run_requests
    assert place.instance.get_dynamic_partitions("inbox_files") == [request.partition_key]


def test_a_file_that_the_other_sensor_registered_is_repaired_too(place, tmp_path, folder):
    (tmp_path / "root" / "inbox").mkdir(parents=True)
    record(tmp_path / "root" / "inbox" / "tape.wav", 1)
    record(folder / "a.wav", 2)
    place.tick(register_new_audio(corpus_folder()))
    write_json(f"{place.root}/release/champion.json", {"checkpoint": "first"})
    (request,) = place.tick(restore_dropped_files).run_requests
    assert request.run_key == request.partition_key
    place.event("restoration/restored", "made", request.partition_key)
    assert "No new file" in place.tick(restore_dropped_files).skip_message


def test_many_dropped_files_are_repaired_some_a_tick(place, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOBUFF_SETTLE_SECONDS", "0")
    monkeypatch.setattr("jobs.dropped_files.MAX_FILES_A_TICK", 2)
    write_json(f"{place.root}/release/champion.json", {"checkpoint": "first"})
    (tmp_path / "root" / "inbox").mkdir(parents=True)
    for seed in range(3):
        record(tmp_path / "root" / "inbox" / f"{seed}.wav", seed)
    assert len(place.tick(restore_dropped_files).run_requests) == 2
    assert len(place.instance.get_dynamic_partitions("inbox_files")) == 3


def schedule_tick(place, schedule, moment=SUNDAY):
    context = dg.build_schedule_context(
        instance=place.instance, repository_def=place.repository, scheduled_execution_time=moment
    )
    return schedule.evaluate_tick(context)


def test_retraining_is_skipped_when_no_data_changed_and_says_so(place):
    assert "nothing to train on" in schedule_tick(place, weekly_retraining).skip_message
    for stream in ("target", "structure", "semantic"):
        place.event(f"latents/{stream}", "v1", "a shard")
    assert len(schedule_tick(place, weekly_retraining).run_requests) == 1
    place.event("model/dit_checkpoint", "weights", latents=latents_digest(place.instance))
    assert "No data changed since" in schedule_tick(place, weekly_retraining).skip_message
    place.event("latents/target", "v2", "a shard")
    assert len(schedule_tick(place, weekly_retraining).run_requests) == 1


def test_every_shard_is_audited_in_turn(place):
    assert "No shard" in schedule_tick(place, nightly_audit).skip_message
    shards = [f"shard{number:03}" for number in range(40)]
    nights = [turn_of(shards, dt.date(2026, 1, day)) for day in range(1, 4)]
    assert sorted(shard for night in nights for shard in night) == shards
    place.event("audio/degraded", "v1", "a")
    (request,) = schedule_tick(place, nightly_audit).run_requests
    assert request.tags["dagster/partition"] == "a"


@dg.asset
def failing():
    raise ValueError("the password is hunter22, and s3://user:hunter22@host/x failed")


def report_failure(place):
    jobs = [dg.define_asset_job("failing_job", "*")]
    job = dg.Definitions(assets=[failing], jobs=jobs).resolve_job_def("failing_job")
    result = job.execute_in_process(instance=place.instance, raise_on_error=False)
    context = dg.build_run_status_sensor_context(
        sensor_name="report_failed_runs",
        dagster_instance=place.instance,
        dagster_run=result.dagster_run,
        dagster_event=next(one for one in result.all_events if one.event_type_value == "PIPELINE_FAILURE"),
    ).for_run_failure()
    report_failed_runs(context)
    return result.run_id, context


def test_a_failed_run_is_one_line_with_its_link_and_without_secrets(place, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter22")
    monkeypatch.setenv("AUDIOBUFF_BROWSER", "https://dagster.example/")
    run_id, context = report_failure(place)
    report_failed_runs(context)
    (line,) = tmp_lines(place)
    assert f"https://dagster.example/runs/{run_id}" in line
    assert "failing_job" in line
    assert "the password is ***" in line
    assert "hunter22" not in line


def tmp_lines(place):
    from jobs.failures import log_path

    return log_path(place.instance).read_text().splitlines()


def test_a_webhook_gets_the_same_line(place, monkeypatch):
    got = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AUDIOBUFF_WEBHOOK", f"http://127.0.0.1:{server.server_port}/T0P/hook")
        run_id, _ = report_failure(place)
        server.shutdown()
    (message,) = got
    assert run_id in message["text"]


def test_a_webhook_that_does_not_answer_is_an_error_that_does_not_tell_its_address(place, monkeypatch):
    monkeypatch.setattr("jobs.failures.WAITS_SECONDS", ())
    monkeypatch.setenv("AUDIOBUFF_WEBHOOK", "http://127.0.0.1:9/S3CRET/hook")
    with pytest.raises(Exception, match="did not take the notification") as raised:
        report_failure(place)
    assert "S3CRET" not in str(raised.value)
    assert len(tmp_lines(place)) == 1


def requested(place, cursor=None):
    groups = dg.AssetSelection.groups("ingest", "degradation", "latents")
    assets = groups | dg.AssetSelection.assets("evaluation/degraded")
    found = dg.evaluate_automation_conditions(place.defs, place.instance, asset_selection=assets, cursor=cursor)
    names = {
        (asset.to_user_string(), partition)
        for asset in place.defs.resolve_asset_graph().materializable_asset_keys
        for partition in (found.get_requested_partitions(asset) if found.get_num_requested(asset) else ())
    }
    return names, found.cursor


SHARD_ASSETS = (
    "audio/pristine", "degradation/plan", "audio/degraded", "latents/target", "latents/structure", "latents/semantic",
)  # fmt: skip


def test_a_new_shard_is_made_whole_a_changed_one_again_and_an_equal_one_not(place):
    place.instance.add_dynamic_partitions("shards", ["one", "two"])
    for shard in ("one", "two"):
        place.event("audio/incoming", "v1", shard)
    found, cursor = requested(place)
    assert found == {(name, shard) for name in SHARD_ASSETS for shard in ("one", "two")}
    for name in SHARD_ASSETS:
        for shard in ("one", "two"):
            place.event(name, f"{name} v1", shard)
    found, cursor = requested(place, cursor)
    assert found == {("evaluation/degraded", kind) for kind in KINDS}
    for kind in KINDS:
        place.event("evaluation/degraded", "v1", kind)
    place.event("audio/pristine", "audio/pristine v1", "one")  # made again, just the same
    found, cursor = requested(place, cursor)
    assert found == set()
    place.event("audio/incoming", "v2", "two")
    found, cursor = requested(place, cursor)
    assert found == {("audio/pristine", "two")}
    place.event("audio/pristine", "audio/pristine v2", "two")
    found, cursor = requested(place, cursor)
    assert {one for one in found if one[0] != "evaluation/degraded"} >= {("degradation/plan", "two")}
    assert {shard for name, shard in found if name in SHARD_ASSETS} == {"two"}


def test_everything_is_off_until_one_variable_switches_it_on():
    import subprocess
    import sys

    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from audiobuff_assets.definitions import defs\nrepository = defs.get_repository_def()\n"
        "every = [*repository.sensor_defs, *repository.schedule_defs]\n"
        "print(sorted(one.name for one in every if one.default_status.value == 'RUNNING'))"
    )
    import os

    def running(value):
        environment = {**os.environ, "AUDIOBUFF_AUTOMATION": value}
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment).stdout

    assert running("") == "['register_new_audio']\n"
    assert running("on").count(",") == 8
