"""Recordings are found, known by content, put into shards and split."""

import hashlib
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data import seen
from audiobuff_core.data.library import find_audio, list_shards, load_shard, register_shards, split_of
from audiobuff_core.errors import AudioNotFound, DataMissing, InvalidConfig
from audiobuff_core.files import read_json

DATE = "20250101"


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "root")


@pytest.fixture
def folder(tmp_path):
    for index in range(5):
        samples = np.random.default_rng(index).uniform(-0.5, 0.5, (1, 100)).astype(np.float32)
        write_audio(tmp_path / "in" / f"Take {index}.wav", Waveform(samples, 8_000))
    return tmp_path / "in"


def test_audio_is_found_in_sub_folders_but_not_in_hidden_ones_or_inboxes(folder):
    for place in ("album/deep/b.FLAC", "inbox/damaged.wav", "album/inbox/d.wav", ".cache/x.wav", ".y.wav", "notes.txt"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(b"x")
    found = find_audio(str(folder))
    assert [path.removeprefix(f"{folder}/") for path in found] == [f"Take {k}.wav" for k in range(5)] + [
        "album/deep/b.FLAC"
    ]
    assert find_audio(str(folder / "inbox")) == [str(folder / "inbox" / "damaged.wav")]


@pytest.mark.parametrize("name", ["a.AC3", "talk.wmv", "clip.3gp", "old.snd", "tape.mpg", "a.tta"])
def test_less_common_formats_are_found_too(folder, name):
    (folder / name).write_bytes(b"x")
    assert str(folder / name) in find_audio(str(folder))


def test_links_are_followed_and_circles_end(folder, tmp_path):
    (tmp_path / "other").mkdir()
    shutil.move(folder / "Take 4.wav", tmp_path / "other")
    (folder / "more").symlink_to(tmp_path / "other")
    (folder / "round").symlink_to(folder)
    found = [path.removeprefix(f"{folder}/") for path in find_audio(str(folder))]
    assert found == [*(f"Take {k}.wav" for k in range(4)), "more/Take 4.wav"]


def test_audio_is_found_behind_urls():
    write_audio("memory://library-test/a.wav", Waveform(np.ones((1, 4), np.float32), 8_000))
    assert find_audio("memory://library-test") == ["memory:///library-test/a.wav"]  # as fsspec spells it


def test_shards_are_even_named_by_content_and_read_back(root, folder):
    shards = register_shards(root, str(folder), tracks_per_shard=2, date="2025-01-01")
    assert sorted(len(shard.tracks) for shard in shards) == [1, 2, 2]
    assert all(re.fullmatch(r"20250101-[0-9a-f]{8}", shard.key) for shard in shards)
    assert list_shards(root) == sorted(shard.key for shard in shards)
    assert [load_shard(root, shard.key) for shard in shards] == shards
    track = shards[0].tracks[0]
    assert track.track_id == f"take_0-{track.file_hash[:8]}"


def test_only_new_recordings_make_new_shards(root, folder):
    first = register_shards(root, str(folder), date=DATE)
    assert register_shards(root, str(folder), date="20260101") == []
    shutil.copy(folder / "Take 0.wav", folder / "a copy under another name.wav")
    assert register_shards(root, str(folder), date="20260101") == []
    write_audio(folder / "new.wav", Waveform(np.full((1, 50), 0.3, np.float32), 8_000))
    (second,) = register_shards(root, str(folder), date="20260101")
    assert [track.track_id[:3] for track in second.tracks] == ["new"]
    assert list_shards(root) == sorted([first[0].key, second.key])


def test_a_large_library_comes_in_several_looks(root, folder, monkeypatch):
    opened = []
    counting = SimpleNamespace(sha256=lambda: opened.append(1) or hashlib.sha256())
    monkeypatch.setattr(seen, "hashlib", counting)
    looks = [register_shards(root, str(folder), date=DATE, max_new=2) for _ in range(4)]
    assert [sum(len(shard.tracks) for shard in look) for look in looks] == [2, 2, 1, 0]
    assert sorted(list_shards(root)) == sorted(shard.key for look in looks for shard in look)
    assert len(opened) == 5  # each file was read once, and not again at every look
    (folder / "Take 0.wav").write_bytes((folder / "Take 1.wav").read_bytes() + b"more")
    assert len(register_shards(root, str(folder), date=DATE)) == 1
    assert len(opened) == 6


def test_a_look_that_is_cut_off_keeps_its_hashes(root, folder, monkeypatch):
    monkeypatch.setattr(seen, "FILES_BETWEEN_NOTES", 2)
    found = find_audio(str(folder))
    with monkeypatch.context() as patch:
        patch.setattr(seen, "track", lambda items, *_, **__: _dying(items, 3))
        with pytest.raises(KeyboardInterrupt):
            seen.hash_files(root, found)
    assert len(read_json(f"{root}/library/seen.json")) == 2
    assert list(seen.hash_files(root, found)[0]) == found


def _dying(items, count):
    for number, item in enumerate(items):
        if number == count:
            raise KeyboardInterrupt
        yield item


def test_equal_files_in_one_folder_are_one_track(root, folder):
    shutil.copy(folder / "Take 0.wav", folder / "twin.wav")
    (shard,) = register_shards(root, str(folder), date=DATE)
    assert len(shard.tracks) == 5


def test_the_same_recordings_elsewhere_have_the_same_shards(tmp_path, folder):
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere")
    keys = [
        [shard.key for shard in register_shards(str(tmp_path / name), str(place), tracks_per_shard=2, date=DATE)]
        for name, place in (("r1", folder), ("r2", elsewhere))
    ]
    assert keys[0] == keys[1]


def test_a_moved_recording_keeps_its_shard_with_its_new_place(root, folder, tmp_path):
    (before,) = register_shards(root, str(folder), date=DATE)
    folder.rename(tmp_path / "moved")
    assert register_shards(root, str(tmp_path / "moved"), date=DATE) == []
    after = load_shard(root, before.key)
    assert [track.track_id for track in after.tracks] == [track.track_id for track in before.tracks]
    assert all(track.source.startswith(str(tmp_path / "moved")) for track in after.tracks)


def test_folders_without_audio_are_refused_and_leave_nothing(root, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioNotFound, match="No audio in"):
        register_shards(root, str(tmp_path / "empty"), date=DATE)
    with pytest.raises(AudioNotFound, match="No folder"):
        register_shards(root, str(tmp_path / "absent"), date=DATE)
    assert list_shards(root) == []
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("options", [{"date": "yesterday"}, {"date": DATE, "tracks_per_shard": 0}])
def test_odd_options_are_refused(root, folder, options):
    with pytest.raises(InvalidConfig):
        register_shards(root, str(folder), **options)


def test_an_unknown_shard_is_missing_by_name(root, folder):
    with pytest.raises(DataMissing, match=r"'20250101-nothing'.*registered: none"):
        load_shard(root, f"{DATE}-nothing")


@given(st.text("0123456789abcdef", min_size=64, max_size=64))
def test_the_split_depends_on_the_hash_alone(audio_hash):
    assert split_of(audio_hash) == split_of(str(audio_hash))
    assert split_of(audio_hash) in {"train", "validation", "held_out"}


def test_the_split_has_its_shares():
    sides = [split_of(f"{index:064x}") for index in range(4000)]
    assert sides.count("held_out") / 4000 == pytest.approx(0.25, abs=0.03)
    assert sides.count("validation") / 4000 == pytest.approx(0.08, abs=0.02)


def test_the_bundled_corpus_is_small_licensed_and_whole():
    import csv

    folder = corpus_folder()
    with (folder / "sources.csv").open() as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*.flac")}
    assert rows.keys() == found.keys()
    assert sum(path.stat().st_size for path in found.values()) <= 8e6
    assert found["inbox/damaged_loop.flac"].stat().st_size <= 300_000
    assert len(find_audio(str(folder))) == len(found) - 1
    for name, row in rows.items():
        assert row["licence"] == "CC0-1.0"
        assert row["kind"] in {"music", "voice", "effect"}
        assert "freesound.org/people/" in row["source"]
        assert row["author"]
        assert hashlib.sha256(found[name].read_bytes()).hexdigest() == row["sha256"]
