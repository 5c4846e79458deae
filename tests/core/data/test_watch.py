"""A watched folder: files half written, new, changed in place, moved, gone, and too many at once."""

import os
import time

import numpy as np
import pytest

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data.library import list_shards, load_shard
from audiobuff_core.data.seen import is_settled
from audiobuff_core.data.watch import watch_folder
from audiobuff_core.errors import AudioNotFound


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "root")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def record(path, seed):
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (1, 400)).astype(np.float32)
    write_audio(path, Waveform(samples, 8_000))


def look(root, folder, *, max_new=100, settle_seconds=0.0):
    return watch_folder(
        root, str(folder), tracks_per_shard=2, date="20260101", max_new=max_new, settle_seconds=settle_seconds
    )


def sources(root):
    return sorted(track.source for key in list_shards(root) for track in load_shard(root, key).tracks)


def test_a_file_that_is_still_written_to_waits(root, folder):
    record(folder / "a.wav", 1)
    os.utime(folder / "a.wav", (0, 0))  # as a copy that keeps the time of its original
    found = look(root, folder, settle_seconds=60)
    assert (found.settling, found.shards) == (1, ())
    assert len(look(root, folder).shards) == 1


def test_settled_is_what_nobody_touched_for_so_long(folder):
    record(folder / "a.wav", 1)
    assert not is_settled(str(folder / "a.wav"), 60)
    time.sleep(0.05)
    assert is_settled(str(folder / "a.wav"), 0.04)
    assert is_settled(str(folder / "gone.wav"), 60)
    assert is_settled("s3://bucket/a.wav", 60)


def test_a_changed_file_changes_its_shard_and_no_other(root, folder):
    for seed in range(4):
        record(folder / f"{seed}.wav", seed)
    before = {shard.key: shard for shard in look(root, folder).shards}
    record(folder / "2.wav", 77)
    found = look(root, folder)
    after = {shard.key: shard for shard in found.shards}
    assert set(after) == set(before)
    (changed,) = found.changed
    assert {key for key in before if after[key] != before[key]} == {changed}
    assert sources(root) == [str(folder / f"{seed}.wav") for seed in range(4)]
    assert load_shard(root, changed) == after[changed]
    assert look(root, folder).changed == ()


def test_a_moved_file_changes_nothing_even_where_another_takes_its_place(root, folder):
    record(folder / "a.wav", 1)
    (before,) = look(root, folder).shards
    (folder / "a.wav").rename(folder / "b.wav")
    record(folder / "a.wav", 2)
    found = look(root, folder)
    assert found.changed == ()
    assert found.vanished == ()
    moved, new = found.shards
    assert (moved.key, moved.tracks[0].file_hash) == (before.key, before.tracks[0].file_hash)
    assert moved.tracks[0].source == str(folder / "b.wav")
    assert new.tracks[0].source == str(folder / "a.wav")


def test_a_copy_of_a_recording_that_was_overwritten_is_looked_at_again(root, folder):
    write = {"a.wav": 1.0, "z.wav": 0.5}
    noise = np.random.default_rng(5).uniform(-0.5, 0.5, (1, 80_000)).astype(np.float32)
    for name, level in write.items():
        write_audio(folder / name, Waveform(noise * level, 16_000))
    (shard,) = look(root, folder).shards
    assert [track.copy_of for track in shard.tracks] == [None, shard.tracks[0].track_id]
    record(folder / "a.wav", 9)
    (shard,) = look(root, folder).shards
    assert [track.copy_of for track in shard.tracks] == [None, None]


def test_a_vanished_file_is_named_and_its_shard_stays(root, folder):
    for seed in range(2):
        record(folder / f"{seed}.wav", seed)
    look(root, folder)
    (folder / "0.wav").unlink()
    found = look(root, folder)
    assert [track.source for track in found.vanished] == [str(folder / "0.wav")]
    assert len(found.shards) == 1
    record(folder / "0.wav", 0)
    assert look(root, folder).vanished == ()


def test_many_files_come_in_several_looks_and_all_arrive(root, folder):
    for seed in range(10):
        record(folder / f"{seed}.wav", seed)
    looks = [look(root, folder, max_new=4) for _ in range(4)]
    assert [found.left for found in looks] == [6, 2, 0, 0]
    assert [len(found.shards) for found in looks] == [2, 4, 5, 5]
    assert sources(root) == [str(folder / f"{seed}.wav") for seed in range(10)]


def test_a_folder_without_audio_is_refused(root, folder):
    with pytest.raises(AudioNotFound, match="No audio"):
        look(root, folder)
    with pytest.raises(AudioNotFound, match="No folder"):
        look(root, folder / "nowhere")
