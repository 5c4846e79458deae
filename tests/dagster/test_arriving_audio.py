"""The sensors of recordings and of damaged files: what they see, ask for, and say when they do nothing."""

import os
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import soundfile
from ticks import record

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_assets.results import key
from audiobuff_core.data.library import list_shards, load_shard
from audiobuff_core.files import write_json
from jobs.dropped_files import restore_dropped_files
from jobs.registration import FILES_A_LOOK
from jobs.sensors import register_new_audio
from resources.inbox import inbox_files, set_aside


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


def test_refused_files_of_one_name_do_not_take_each_others_place(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOBUFF_INBOX", str(tmp_path))
    for content in ("no audio", "nor this"):
        (tmp_path / "words.wav").write_text(content)
        (key_of_file, place) = next(iter(inbox_files(str(tmp_path / "root")).items()))
        moved = set_aside(str(tmp_path / "root"), place, key_of_file, "why")
        assert Path(moved).read_text() == content
    assert len(list((tmp_path / "refused").glob("*.wav"))) == 2
    assert inbox_files(str(tmp_path / "root")) == {}
