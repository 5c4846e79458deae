"""Preparing, reading and training on S3, by the commands that a user has."""

import sys
from pathlib import Path

import fsspec
import pytest
import torch
from damaged_shards import write_recordings
from latent_records import latent, write

from audiobuff_assets import cli as audiobuff
from audiobuff_core.data.dataset import LatentDataset
from audiobuff_core.data.ingest import ingest_shard
from audiobuff_core.data.library import register_shards
from audiobuff_core.data.snapshot import load_snapshot
from audiobuff_core.data.store import LatentStore
from audiobuff_core.errors import OutputNotWritable, StoreNotSealed
from audiobuff_core.files import join, read_json, require_writable
from audiobuff_core.training.cli import main as train

sys.path.insert(0, str(Path(__file__).parent.parent))
from object_store import bucket

BUILTIN = ["--codec", "builtin", "--structure", "builtin", "--semantic", "builtin"]
SMALL = ["--profile", "smoke", "--max_steps", "1", "--d_model", "32", "--n_heads", "2", "--depth", "1"]


@pytest.fixture(scope="module")
def s3():
    with bucket() as url:
        yield url


def test_a_group_on_s3(s3):
    store = LatentStore(f"{s3}/groups")
    records = [latent("a", 300), latent("b", 17, seed=1, channels=2)]

    def dying():
        yield records[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(store, dying())
    with pytest.raises(StoreNotSealed):
        store.open_group("target/shard")
    group = write(store, records)
    for record in records:
        assert torch.equal(store.open_group("target/shard").record(record.record_id).values, record.frames.values)
    filesystem, top = fsspec.core.url_to_fs(group.path)
    assert len(filesystem.find(top)) <= 24
    filesystem.rm_file(f"{top}/values/c/0/0")
    with pytest.raises(StoreNotSealed, match=r"1 of .* objects are missing .*values/c/0/0"):
        store.open_group("target/shard")


def test_a_bucket_that_is_not_there_is_one_clear_line(s3):
    with pytest.raises(OutputNotWritable, match=r"nowhere/store/prepared\.json .*check the address") as caught:
        require_writable("s3://nowhere/store/prepared.json")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_prepare_and_train_on_s3(s3, tmp_path, monkeypatch, capsys):
    write_recordings(tmp_path / "recordings", num_tracks=8)
    monkeypatch.chdir(tmp_path)
    prepare = ["prepare", "--source_dir", str(tmp_path / "recordings"), "--out_dir", f"{s3}/store", *BUILTIN]
    assert audiobuff.main(prepare) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["recordings"]  # nothing beside it on disk
    snapshot = load_snapshot(join(f"{s3}/store", read_json(f"{s3}/store/prepared.json")["snapshot"]))
    segment = LatentDataset(snapshot, "train", segment_frames=16).segment(0, 1)
    assert segment.clean.values.shape == (16, 512)
    assert segment.clean.values.isfinite().all()
    assert train(["--data_dir", f"{s3}/store", "--checkpoint_dir", f"{s3}/run", "--segment_frames", "16", *SMALL]) == 0
    assert read_json(f"{s3}/run/done.json")["steps"] == 1
    assert audiobuff.main(prepare) == 0  # and finds all of it finished
    assert "Prepared" in capsys.readouterr().out


def test_recordings_in_a_bucket_are_taken_in(s3, tmp_path):
    write_recordings(tmp_path, 3)
    filesystem, top = fsspec.core.url_to_fs(f"{s3}/recordings/album")
    filesystem.put(str(tmp_path), top, recursive=True)
    (shard,) = register_shards(f"{s3}/ingested", f"{s3}/recordings", date="20250101")
    (here,) = register_shards(str(tmp_path / "root"), str(tmp_path), date="20250101")
    assert shard.key == here.key
    assert register_shards(f"{s3}/ingested", f"{s3}/recordings", date="20250101") == []
    made, local = ingest_shard(f"{s3}/ingested", shard), ingest_shard(str(tmp_path / "root"), here)
    assert made.digest == local.digest
    assert len(made.tracks) == 3
    assert all(track.source.startswith("s3://") and track.path.startswith("s3://") for track in made.tracks)
