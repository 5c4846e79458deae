"""Every odd thing that a folder of recordings may hold: a row with its reason, or one clear line; nothing is lost."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data import copies, ingest
from audiobuff_core.data.ingest import ingest_shard
from audiobuff_core.data.library import load_shard, register_shards, split_of
from audiobuff_core.data.seen import passed_over
from audiobuff_core.errors import AudioNotFound

DATE = "20250101"
NOBODY = 65_534


def music(seed, seconds=0.5, sample_rate=44_100, channels=1):
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, int(seconds * sample_rate)))
    return Waveform(samples.astype(np.float32), sample_rate)


@contextmanager
def as_nobody():
    """As a user without rights: even root's tests may not read what root alone may."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "root")


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Two good recordings and every bad one, ingested."""
    folder, root = tmp_path_factory.mktemp("in"), str(tmp_path_factory.mktemp("root"))
    for name in ("good", "better"):
        write_audio(folder / f"{name}.wav", music(len(name)))
    write_audio(folder / "one_sample.wav", Waveform(np.full((1, 1), 0.5, np.float32), 44_100))
    broken = music(3).samples[0]
    broken[700] = np.nan
    soundfile.write(folder / "nan.wav", broken, 44_100, subtype="FLOAT")
    soundfile.write(folder / "no_samples.wav", np.zeros((0, 1)), 44_100)
    (folder / "zero_length.flac").touch()
    (folder / "text.mp3").write_text("These are the lyrics, not the song.\n")
    for name in ("cut.wav", "cut.flac"):
        write_audio(folder / name, music(8))
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
    write_audio(folder / "clipped.wav", Waveform(np.clip(4 * music(9).samples, -0.9, 0.9), 44_100))
    (shard,) = register_shards(root, str(folder), date=DATE)
    return ingest_shard(root, shard)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("one_sample", "too short: lasts 2.27e-05 s"),
        ("nan", "1 NaN or infinite samples"),
        ("no_samples", "holds no samples"),
        ("zero_length", "is empty (0 bytes)"),
        ("text", "is not audio that can be decoded"),
        ("cut", "cut off"),
        ("clipped", "clipped: "),
    ],
)
def test_what_can_t_be_used_is_a_row_with_its_reason(odd, name, reason):
    rows = [row for row in odd.quarantined if row.track_id.rsplit("-", 1)[0] == name]
    assert len(rows) == (2 if name == "cut" else 1)
    for row in rows:
        assert reason in row.reason
        assert "\n" not in row.reason
        assert Path(row.source).exists()


def test_it_does_not_stop_what_can(odd):
    assert [track.recording.rsplit("-", 1)[0] for track in odd.tracks] == ["better", "good"]
    assert len(odd.tracks) + len(odd.quarantined) == 10
    assert {Path(track.path).name for track in odd.tracks} == {path.name for path in Path(odd.path).glob("*.flac")}


NAMES = ["with space.wav", "-leading dash.wav", "two\nlines.wav", "Ünïcödé 音楽.wav", "semi;colon$(x).wav", "a.b.c.wav"]


def test_every_name_will_do(root, tmp_path):
    for seed, name in enumerate(NAMES):
        write_audio(tmp_path / "in" / name, music(seed))
    (shard,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    assert load_shard(root, shard.key) == shard
    made = ingest_shard(root, shard)
    assert sorted(Path(track.source).name for track in made.tracks) == sorted(NAMES)
    assert not made.quarantined
    assert not any(character in track.track_id for track in made.tracks for character in " \n;$./")


def test_a_bad_file_with_a_line_break_in_its_name_is_one_line(root, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "two\nlines.wav").write_bytes(b"no audio at all")
    (shard,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    (row,) = ingest_shard(root, shard).quarantined
    assert r"two\nlines.wav is not audio" in row.reason
    assert "\n" not in row.reason


def test_a_name_that_is_no_text_is_passed_over_by_name(root, tmp_path):
    write_audio(tmp_path / "in" / "good.wav", music(1))
    shutil.copy(os.fsencode(tmp_path / "in" / "good.wav"), os.fsencode(tmp_path / "in") + b"/l\xe4tin.wav")
    (shard,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    assert len(shard.tracks) == 1
    (row,) = passed_over(root)
    assert "rename it" in row.reason
    assert row.source.endswith("tin.wav")


def test_two_files_of_one_name_in_two_folders_are_two_tracks(root, tmp_path):
    for seed, folder in enumerate(("a", "b")):
        write_audio(tmp_path / "in" / folder / "Take 1.wav", music(seed))
    (shard,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    made = ingest_shard(root, shard)
    assert len({track.track_id for track in made.tracks}) == len({track.path for track in made.tracks}) == 2
    assert {Path(track.source).parent.name for track in made.tracks} == {"a", "b"}


def test_files_with_the_same_bytes_are_one_track_and_said_so(root, tmp_path):
    write_audio(tmp_path / "in" / "a.wav", music(1))
    shutil.copy(tmp_path / "in" / "a.wav", tmp_path / "in" / "b.wav")
    (shard,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    assert len(shard.tracks) == 1
    (row,) = passed_over(root)
    assert (Path(row.source).name, row.reason) == ("b.wav", f"the same bytes as {tmp_path / 'in' / 'a.wav'}")


def test_what_may_not_be_read_is_passed_over_and_stops_nothing():
    # Not tmp_path: pytest's folders are closed to others, and this test becomes another user.
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        base.chmod(0o777)
        for name in ("open.wav", "closed file.wav", "closed/inside.wav"):
            write_audio(base / "in" / name, music(len(name)))
        (base / "in" / "closed file.wav").chmod(0)
        (base / "in" / "closed").chmod(0)
        with as_nobody():
            (shard,) = register_shards(str(base / "root"), str(base / "in"), date=DATE)
            rows = {Path(row.source).name: row.reason for row in passed_over(str(base / "root"))}
        assert [track.source for track in shard.tracks] == [str(base / "in" / "open.wav")]
        assert rows.keys() == {"closed file.wav", "closed"}
        assert all("Permission denied" in reason and "check its permissions" in reason for reason in rows.values())
        (base / "in").chmod(0)
        with as_nobody(), pytest.raises(AudioNotFound, match=r"No (audio in|folder) .*in") as raised:
            register_shards(str(base / "root2"), str(base / "in"), date=DATE)
        assert "\n" not in str(raised.value)
        for closed in (base / "in", base / "in" / "closed"):
            closed.chmod(0o755)


def test_a_long_recording_becomes_tracks_of_one_side(root, tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "LONGEST_SECONDS", 1.0)
    monkeypatch.setattr(ingest, "SHORTEST_LAST_SECONDS", 0.3)
    samples = music(1, seconds=4.2, channels=2).samples
    samples[:, 44_100 : 2 * 44_100] = 0.0
    write_audio(tmp_path / "in" / "concert.wav", Waveform(samples, 44_100))
    (shard,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    made = ingest_shard(root, shard)
    assert [track.start_seconds for track in made.tracks] == [0.0, 2.0, 3.0]
    assert [track.track_id.rsplit("-", 1)[-1] for track in made.tracks[1:]] == ["003", "004"]
    assert made.tracks[-1].duration_seconds == pytest.approx(1.2)
    assert {track.split for track in made.tracks} == {split_of(made.tracks[0].audio_hash)}
    (row,) = made.quarantined
    assert row.reason.startswith("1 to 2 s: silent")
    Path(made.tracks[1].path).unlink()
    assert ingest_shard(root, shard) == made


def test_copies_in_other_formats_stand_on_the_side_of_the_first(root, tmp_path):
    for seed in range(6):
        write_audio(tmp_path / "in" / f"song {seed}.wav", music(seed, seconds=1.5))
    first = register_shards(root, str(tmp_path / "in"), date=DATE)
    for seed in range(6):
        quiet = music(seed, seconds=1.5).scaled(0.3)
        soundfile.write(tmp_path / "in" / f"copy {seed}.mp3", quiet.samples.T, quiet.sample_rate)
        soundfile.write(tmp_path / "in" / f"other {seed}.mp3", music(seed + 50, seconds=1.5).samples.T, 44_100)
    (second,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    songs = {one.track_id.split("-")[0]: one.track_id for one in first[0].tracks}
    for one in second.tracks:
        kind, number = one.track_id.split("-")[0].split("_")
        assert one.copy_of == (songs[f"song_{number}"] if kind == "copy" else None)
    # Alone, before the first ones were ingested: the manifest and the files decide, not the order of work.
    followed = {track.track_id: track for track in ingest_shard(root, second).tracks}
    originals = {track.track_id: track for track in ingest_shard(root, first[0]).tracks}
    followers = [(followed[one.track_id], originals[one.copy_of]) for one in second.tracks if one.copy_of]
    assert len(followers) == 6
    assert all(copy.split == original.split for copy, original in followers)
    assert any(split_of(copy.audio_hash) != copy.split for copy, _ in followers)  # alone it would have been elsewhere


def test_a_whole_copy_of_a_recording_that_is_cut_off_is_used(root, tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "LISTENED_SECONDS", 1.0)  # what is heard of it is whole
    whole = music(1, seconds=2.0)
    write_audio(tmp_path / "in" / "a cut.wav", whole)
    data = (tmp_path / "in" / "a cut.wav").read_bytes()
    (tmp_path / "in" / "a cut.wav").write_bytes(data[: int(len(data) * 0.8)])
    for name in ("b whole.flac", "c quiet.flac"):
        write_audio(tmp_path / "in" / name, whole.scaled(0.5 if "quiet" in name else 1.0))
    (shard,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    assert [one.copy_of for one in shard.tracks[1:]] == [shard.tracks[0].track_id] * 2
    made = ingest_shard(root, shard)
    assert [Path(one.source).name for one in made.quarantined] == ["a cut.wav"]
    assert [Path(one.source).name for one in made.tracks] == ["b whole.flac", "c quiet.flac"]
    assert len({one.split_hash for one in made.tracks}) == 1  # together, wherever that is


def test_a_copy_follows_an_original_that_is_gone_or_was_edited_since(root, tmp_path):
    source = tmp_path / "in" / "song.wav"
    write_audio(source, music(1, seconds=1.5))
    (first,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    (original,) = ingest_shard(root, first).tracks
    write_audio(tmp_path / "in" / "song copy.flac", music(1, seconds=1.5).scaled(0.5))
    (second,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    write_audio(source, music(99, seconds=1.5))
    (copy,) = ingest_shard(root, second).tracks
    assert (copy.split_hash, copy.split) == (original.split_hash, original.split)
    source.unlink()
    Path(copy.path).unlink()
    assert ingest_shard(root, second).tracks == (copy,)


def test_a_file_that_changed_since_it_was_registered_is_not_taken_for_what_it_was(root, tmp_path):
    for seed in range(2):
        write_audio(tmp_path / "in" / f"{seed}.wav", music(seed))
    (shard,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    write_audio(tmp_path / "in" / "1.wav", music(7, seconds=0.6))
    made = ingest_shard(root, shard)
    assert [Path(one.source).name for one in made.tracks] == ["0.wav"]
    (row,) = made.quarantined
    assert row.reason.startswith("changed since it was registered")
    (again,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    (track,) = ingest_shard(root, again).tracks
    assert track.num_samples == round(0.6 * 44_100)


def test_channels_that_cancel_each_other_are_no_silent_track(root, tmp_path):
    one = music(1).samples
    write_audio(tmp_path / "in" / "turned.wav", Waveform(np.concatenate([one, -one]), 44_100))
    write_audio(tmp_path / "in" / "strangers.wav", Waveform(np.concatenate([one, music(2).samples]), 44_100))
    (shard,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    made = ingest_shard(root, shard)
    assert [Path(track.source).name for track in made.tracks] == ["strangers.wav"]
    (row,) = made.quarantined
    assert row.reason.startswith("opposite channels: of width 1")


def test_a_stream_whose_length_is_only_guessed_is_not_said_to_be_cut_off(root, tmp_path):
    import av

    loud = music(1, seconds=2.0).samples
    samples = np.concatenate([0 * loud] + [loud] * 9, axis=1)  # few bits first, then many
    (tmp_path / "in").mkdir()
    with av.open(str(tmp_path / "in" / "guessed.aac"), "w", format="adts") as file:
        stream = file.add_stream("aac", rate=44_100, layout="mono")
        for first in range(0, samples.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(samples[:, first : first + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44_100, first
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    (shard,) = register_shards(root, str(tmp_path / "in"), date=DATE)
    made = ingest_shard(root, shard)
    assert not made.quarantined
    assert made.tracks[0].duration_seconds == pytest.approx(20.0, abs=0.1)
