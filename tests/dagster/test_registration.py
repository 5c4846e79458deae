import dagster as dg
import numpy as np
import pytest
import soundfile

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.errors import AudioNotFound
from jobs.registration import find_arrivals, record_arrivals
from jobs.sensors import register_new_audio
from resources.storage import Storage


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "recordings"
    place.mkdir()
    for number in range(3):
        samples = np.random.default_rng(number).uniform(-0.1, 0.1, 4000)
        soundfile.write(place / f"{number}.wav", samples, 8000)
    return place


def test_new_recordings_become_partitions_with_events(instance, tmp_path, folder):
    root = str(tmp_path / "root")
    arrivals = find_arrivals(instance, root, folder, bundled=False, tracks_per_shard=2)
    assert len(arrivals.shards) == 2
    record_arrivals(instance, arrivals)
    assert set(instance.get_dynamic_partitions("shards")) == set(arrivals.shards)
    incoming = dg.AssetKey(["audio", "incoming"])
    assert instance.get_materialized_partitions(incoming) == set(arrivals.shards)
    assert not find_arrivals(instance, root, folder, bundled=False, tracks_per_shard=2)


def test_a_shard_written_by_a_process_that_was_killed_is_found_again(instance, tmp_path, folder):
    root = str(tmp_path / "root")
    lost = find_arrivals(instance, root, folder, bundled=False)
    again = find_arrivals(instance, root, folder, bundled=False)
    assert again.shards == lost.shards
    assert [event.tags for event in again.events] == [event.tags for event in lost.events]


def test_a_file_in_the_inbox_is_a_partition_by_its_content(instance, tmp_path, folder):
    root = tmp_path / "root"
    (root / "inbox").mkdir(parents=True)
    (root / "inbox" / "old tape (1).wav").write_bytes(b"one")
    record_arrivals(instance, find_arrivals(instance, str(root), folder, bundled=False))
    (first,) = instance.get_dynamic_partitions("inbox_files")
    assert first.startswith("old_tape_1_-")
    (root / "inbox" / "old tape (1).wav").write_bytes(b"two")
    (second,) = find_arrivals(instance, str(root), folder, bundled=False).inbox_files
    assert second != first


def test_the_bundled_corpus_has_the_same_shards_everywhere_and_fills_the_inbox_once(instance, tmp_path):
    first = find_arrivals(instance, str(tmp_path / "a"), corpus_folder(), bundled=True)
    second = find_arrivals(instance, str(tmp_path / "b"), corpus_folder(), bundled=True)
    assert first.shards == second.shards
    assert len(first.shards) >= 2
    assert len(first.inbox_files) == 1
    for file in (tmp_path / "a" / "inbox").iterdir():
        file.unlink()
    assert not find_arrivals(instance, str(tmp_path / "a"), corpus_folder(), bundled=True).inbox_files


def test_an_empty_folder_is_refused(instance, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioNotFound, match="No audio"):
        find_arrivals(instance, str(tmp_path / "root"), tmp_path / "empty", bundled=False)


def test_the_sensor_says_what_is_wrong_with_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOBUFF_INCOMING", str(tmp_path / "nowhere"))
    with dg.instance_for_test() as instance:
        context = dg.build_sensor_context(
            instance=instance, resources={"storage": Storage(root=str(tmp_path / "root"))}
        )
        skip = register_new_audio(corpus_folder())(context)
    assert isinstance(skip, dg.SkipReason)
    assert "nowhere" in skip.skip_message
