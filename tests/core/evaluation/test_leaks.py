"""The proof that nothing measured was trained on finds what was, by content and by sound, and nothing else."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.codecs.registry import EncoderChoice
from audiobuff_core.data.ingest import ingest_shard, load_pristine
from audiobuff_core.data.library import register_shards
from audiobuff_core.errors import DataMissing
from audiobuff_core.evaluation.held_out import damage_held_out, load_held_out
from audiobuff_core.evaluation.leaks import find_leaks
from audiobuff_core.files import join, write_json
from audiobuff_core.seeding import digest, numpy_generator

RATE = 16_000


def tune(index, seconds=3.0):
    """Notes of a tenth of a second: every index has another tune."""
    generator = numpy_generator("tune", index)
    times = np.arange(round(0.1 * RATE)) / RATE
    notes = [
        sum(np.sin(2 * np.pi * hertz * times) for hertz in generator.uniform(150, 3500, 3)) * np.exp(-20 * times)
        for _ in range(round(seconds / 0.1))
    ]
    return (0.15 * np.concatenate(notes)).astype(np.float32)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A root with tunes, the clips of those held out, and the pristine tracks of both sides."""
    folder, root = tmp_path_factory.mktemp("tunes"), str(tmp_path_factory.mktemp("root"))
    for index in range(16):
        soundfile.write(folder / f"tune{index:02}.wav", tune(index), RATE)
    (shard,) = register_shards(root, str(folder), tracks_per_shard=64, date="20240101")
    tracks = ingest_shard(root, shard, sample_rate=RATE).tracks
    held_out = [one for one in tracks if one.split == "held_out"]
    damage_held_out(root, "noise", shards=[shard.key], clip_seconds=1.0)
    return root, shard.key, held_out, [one for one in tracks if one.split != "held_out"]


def write_snapshot(root, shards, tracks):
    facts = {"variant": 0, "split": "train", "groups": {}, "num_frames": 1}
    items = [{"track_id": one.track_id, "audio_hash": one.audio_hash, **facts} for one in tracks]
    body = {
        "schema": 1, "code_version": "1", "shards": shards, "encoders": EncoderChoice().as_dict(), "identities": {},
        "rates": {}, "items": items, "statistics": {}, "left_out": [],
    }  # fmt: skip
    fixed = digest(body)
    write_json(join(root, "snapshots", f"{fixed[:16]}.json"), {**body, "digest": fixed})


@pytest.fixture
def fresh(library, tmp_path):
    """A root of its own with a snapshot of what may be trained on."""
    root, shard, held_out, others = library
    shutil.copytree(root, tmp_path / "root")
    write_snapshot(str(tmp_path / "root"), [shard], others)
    return str(tmp_path / "root"), shard, held_out, others


def test_without_a_leak_nothing_is_found(fresh):
    root, _, held_out, others = fresh
    report = find_leaks(root)
    assert report.is_clean
    assert (report.num_snapshots, report.num_trained) == (1, len(others))
    assert 1 < report.num_evaluated <= len(held_out)
    assert (report.by_content, report.by_sound, report.gone) == ((), {}, ())
    assert find_leaks(root) == report  # from the fingerprints that were kept


def test_the_same_samples_in_any_snapshot_are_found(fresh):
    root, shard, held_out, _ = fresh
    write_snapshot(root, [shard], held_out[:1])  # an older training
    report = find_leaks(root)
    assert not report.is_clean
    assert report.num_snapshots == 2
    assert report.by_content == (held_out[0].track_id,)
    assert list(report.by_sound) == [held_out[0].track_id]


def test_a_copy_inside_of_another_track_is_found_by_its_sound(fresh, tmp_path):
    """Quieter, as MP3, in the middle of something else: other samples, so that no hash can tell."""
    root, shard, held_out, others = fresh
    evaluated = next(one for one in held_out if find_clip(root, one))
    copy = 0.4 * read_audio(evaluated.path).samples[0]
    (tmp_path / "more").mkdir()
    mix = np.concatenate([tune(100, 1.9), copy, tune(101, 2.2)])[777:]
    write_audio(tmp_path / "more" / "mix.mp3", Waveform(mix[None], RATE))
    more = register_shards(root, str(tmp_path / "more"), tracks_per_shard=64, date="20240102")[-1]
    ingest_shard(root, more, sample_rate=RATE)
    (mixed,) = load_pristine(root, more.key).tracks
    write_snapshot(root, [shard, more.key], [*others, mixed])
    report = find_leaks(root)
    assert report.by_content == ()
    assert report.by_sound == {evaluated.track_id: mixed.track_id}
    assert not report.is_clean


def find_clip(root, one):
    return any(item.track_id == one.track_id for item in load_held_out(root, "noise").items)


def test_what_is_gone_is_named_and_no_snapshot_is_no_proof(fresh, library):
    root, shard, _, others = fresh
    write_snapshot(root, [shard], [replace(others[0], audio_hash="gone", track_id="lost")])
    assert find_leaks(root).gone == ("lost",)
    assert not find_leaks(library[0]).is_clean
    with pytest.raises(DataMissing, match="No clips"):
        find_leaks(root + "/elsewhere")
