"""Recordings become uniform, measured tracks; bad ones are put aside; finished work is not done again."""

import numpy as np
import pytest

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.audio.read import read_audio, read_pieces
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data import ingest
from audiobuff_core.data.ingest import ingest_shard, load_pristine
from audiobuff_core.data.library import load_shard, register_shards, split_of
from audiobuff_core.errors import DataMissing, InvalidConfig


def music(seed, seconds=0.5, sample_rate=44_100, channels=1, peak=0.5):
    samples = np.random.default_rng(seed).uniform(-peak, peak, (channels, int(seconds * sample_rate)))
    return Waveform(samples.astype(np.float32), sample_rate)


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "root")


def register(root, folder, **audio):
    for name, waveform in audio.items():
        write_audio(folder / f"{name}.wav", waveform)
    (shard,) = register_shards(root, str(folder), date="20250101")
    return shard


def test_tracks_are_mono_of_one_rate_and_say_what_they_are(root, tmp_path):
    shard = register(root, tmp_path / "in", stereo=music(1, channels=2), low=music(2, sample_rate=16_000))
    made = ingest_shard(root, shard)
    assert [track.track_id.split("-")[0] for track in made.tracks] == ["low", "stereo"]
    assert load_pristine(root, shard.key) == made
    for track in made.tracks:
        audio = read_audio(track.path)
        assert (audio.channels, audio.sample_rate, audio.num_samples) == (1, 44_100, track.num_samples)
        assert track.duration_seconds == pytest.approx(0.5)
        assert track.peak == pytest.approx(float(np.abs(audio.samples).max()))
        assert track.measures.dc == pytest.approx(float(audio.samples.mean()), abs=1e-4)
        assert track.split == split_of(track.audio_hash)
    low, stereo = made.tracks
    assert low.measures.bandwidth_hz == pytest.approx(8_000, abs=200)
    assert stereo.measures.bandwidth_hz > 20_000
    assert (low.trained_below_hz, stereo.trained_below_hz) == (8_000.0, None)
    assert (stereo.measures.source_channels, low.measures.source_rate) == (2, 16_000)
    assert stereo.measures.stereo_width == pytest.approx(0.5, abs=0.02)


def test_the_hash_is_of_the_sound_not_of_the_file(root, tmp_path):
    waveform = Waveform(np.round(music(3).samples * 2**23).astype(np.float32) / 2**23, 44_100)
    (tmp_path / "in").mkdir()
    write_audio(tmp_path / "in" / "b.flac", waveform)
    shard = register(root, tmp_path / "in", a=waveform, c=music(4))
    hashes = {track.track_id[0]: track.audio_hash for track in ingest_shard(root, shard).tracks}
    assert hashes["a"] == hashes["b"] != hashes["c"]


def test_what_exceeds_full_scale_is_scaled_not_clipped(root, tmp_path):
    loud = music(5, peak=4.0)
    (track,) = ingest_shard(root, register(root, tmp_path / "in", loud=loud)).tracks
    assert track.gain == pytest.approx(1 / np.abs(loud.samples).max())
    np.testing.assert_allclose(read_audio(track.path).samples, loud.samples * track.gain, atol=2.0**-22)


def test_bad_recordings_are_put_aside_with_their_reason(root, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "text.wav").write_text("not a song")
    (folder / "empty.wav").touch()
    silent, blip = Waveform(np.zeros((1, 44_100), np.float32), 44_100), music(7, seconds=0.1)
    shard = register(root, folder, good=music(6), silent=silent, blip=blip)
    made = ingest_shard(root, shard)
    assert [track.track_id.split("-")[0] for track in made.tracks] == ["good"]
    reasons = {bad.track_id.split("-")[0]: bad.reason for bad in made.quarantined}
    assert reasons.keys() == {"text", "empty", "silent", "blip"}
    for name, word in (
        ("text", "not audio"),
        ("empty", "0 bytes"),
        ("silent", "silent: peak 0"),
        ("blip", "too short: lasts 0.1 s"),
    ):
        assert word in reasons[name]


def test_a_recording_that_vanished_is_put_aside(root, tmp_path):
    shard = register(root, tmp_path / "in", a=music(1), b=music(2))
    (tmp_path / "in" / "a.wav").unlink()
    made = ingest_shard(root, shard)
    assert [bad.track_id[0] for bad in made.quarantined] == ["a"]


def test_a_shard_without_a_usable_recording_is_an_empty_one_that_says_why(root, tmp_path):
    shard = register(root, tmp_path / "in", silent=Waveform(np.zeros((1, 44_100), np.float32), 44_100))
    made = ingest_shard(root, shard)
    assert made.tracks == ()
    assert [bad.track_id.split("-")[0] for bad in made.quarantined] == ["silent"]
    assert load_pristine(root, shard.key) == made


def test_a_sample_rate_that_makes_no_sense_is_refused(root, tmp_path):
    with pytest.raises(InvalidConfig, match="4 Hz"):
        ingest_shard(root, register(root, tmp_path / "in", a=music(1)), sample_rate=4)


class Counting:
    """How often the recordings are decoded."""

    def __init__(self, monkeypatch, fail_at=None):
        self.decoded, self.fail_at = 0, fail_at
        monkeypatch.setattr(ingest, "read_pieces", self)

    def __call__(self, source, **options):
        self.decoded += 1
        if self.fail_at is not None and self.fail_at in source:
            raise KeyboardInterrupt
        return read_pieces(source, **options)


def test_a_second_run_does_nothing(root, tmp_path, monkeypatch):
    shard = register(root, tmp_path / "in", a=music(1), b=music(2))
    first = ingest_shard(root, shard)
    counting = Counting(monkeypatch)
    assert ingest_shard(root, shard) == first
    assert counting.decoded == 0


def test_only_a_deleted_file_is_made_again(root, tmp_path, monkeypatch):
    shard = register(root, tmp_path / "in", a=music(1), b=music(2), c=music(3))
    first = ingest_shard(root, shard)
    deleted = tmp_path / "root" / "audio" / "pristine" / shard.key / f"{first.tracks[1].track_id}.flac"
    bytes_before = deleted.read_bytes()
    deleted.unlink()
    with pytest.raises(DataMissing, match=r"1 files .* are gone"):
        load_pristine(root, shard.key)
    counting = Counting(monkeypatch)
    assert ingest_shard(root, shard) == first
    assert counting.decoded == 1
    assert deleted.read_bytes() == bytes_before


def test_an_interrupted_run_goes_on_where_it_was(root, tmp_path, monkeypatch):
    shard = register(root, tmp_path / "in", **{f"t{k}": music(k) for k in range(4)})
    Counting(monkeypatch, fail_at="t2")
    with pytest.raises(KeyboardInterrupt):
        ingest_shard(root, shard)
    with pytest.raises(DataMissing):
        load_pristine(root, shard.key)
    counting = Counting(monkeypatch)
    made = ingest_shard(root, shard)
    assert counting.decoded == 2
    whole = ingest_shard(str(tmp_path / "other"), load_shard(root, shard.key))
    assert made.digest == whole.digest
    names = {path.name for path in (tmp_path / "root" / "audio" / "pristine" / shard.key).iterdir()}
    assert names == {f"{track.track_id}.flac" for track in made.tracks} | {"manifest.json"}


def test_other_options_make_everything_anew(root, tmp_path):
    shard = register(root, tmp_path / "in", a=music(1))
    first = ingest_shard(root, shard)
    second = ingest_shard(root, shard, sample_rate=16_000)
    assert second.digest != first.digest
    assert read_audio(second.tracks[0].path).sample_rate == 16_000
    assert ingest_shard(root, shard) == first


def test_it_works_behind_a_url(tmp_path):
    shard = register("memory://ingest-test", tmp_path / "in", a=music(1), b=music(2))
    made = ingest_shard("memory://ingest-test", shard)
    assert ingest_shard("memory://ingest-test", shard) == made
    assert read_audio(made.tracks[0].path).num_samples == made.tracks[0].num_samples


def test_the_bundled_corpus_is_usable_and_holds_out_enough(root):
    shards = register_shards(root, str(corpus_folder()), date="20250101")
    made = [ingest_shard(root, shard) for shard in shards]
    tracks = [track for shard in made for track in shard.tracks]
    assert not any(shard.quarantined for shard in made)
    assert len({track.audio_hash for track in tracks}) == len(tracks)
    assert sum(track.split == "held_out" and track.duration_seconds >= 1.0 for track in tracks) >= 22
    assert sum(track.duration_seconds for track in tracks if track.split == "train") > 100
