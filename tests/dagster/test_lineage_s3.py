"""The whole lineage in a bucket: every root a URL, a store that fails now and then, and no credential anywhere."""

import sqlite3
from pathlib import Path

import fsspec
import pytest
from made_corpus import make_corpus
from object_store import bucket

from audiobuff_assets.definitions import build_defs
from audiobuff_assets.demo import trained_checkpoint
from audiobuff_assets.options import DemoOptions
from audiobuff_assets.results import key
from audiobuff_assets.runner import Runner
from audiobuff_core.files import exists, names_in
from jobs.registration import find_arrivals, record_arrivals
from resources.currency import latest_record, recorded
from resources.instance import open_instance, prepare_home
from resources.partitions import evaluation_key

SECRET = "s3cr3t-that-must-not-be-seen"
KINDS = ("seed", "clean")


@pytest.fixture(scope="module")
def s3():
    with bucket(secret=SECRET) as url:
        yield url


@pytest.fixture(scope="module")
def lineage(s3, tmp_path_factory):
    """The instance after every job has run once, with all data in the bucket."""
    folder = tmp_path_factory.mktemp("s3")
    make_corpus(folder / "corpus")
    (folder / "corpus" / "broken.wav").write_bytes(b"no audio")
    fsspec.filesystem("s3").put(f"{folder / 'corpus'}/", f"{s3}/arrived/", recursive=True)
    fsspec.filesystem("s3").put(str(folder / "corpus" / "inbox" / "damaged.wav"), f"{s3}/dropped/damaged.wav")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")
        patch.setenv("AUDIOBUFF_ROOT", "")
        patch.setenv("AUDIOBUFF_ENV", "s3")
        patch.setenv("AUDIOBUFF_INBOX", f"{s3}/dropped")
        patch.setenv("OMP_NUM_THREADS", "1")
        home = prepare_home(folder / "home", root=f"{s3}/root")
        with open_instance(home) as instance:
            run_everything(instance, f"{s3}/root", f"{s3}/arrived", DemoOptions(out=folder, profile="test"))
            yield instance


def run_everything(instance, root, arrived, options):
    record_arrivals(instance, find_arrivals(instance, root, arrived, bundled=False, tracks_per_shard=16))
    runner = Runner(instance, build_defs(), options)
    runner.stage("encode_new_audio", "encode", instance.get_dynamic_partitions("shards"))
    runner.stage("train_restoration_model", "train", [None], bars=False)
    runner.stage("damage_held_out_audio", "damage", KINDS)
    checkpoint = trained_checkpoint(instance)
    runner.stage("evaluate_checkpoint", "evaluate", [evaluation_key(checkpoint, kind) for kind in KINDS])
    runner.stage("release_checkpoint", "release", [None])
    runner.stage("restore_inbox", "inbox", instance.get_dynamic_partitions("inbox_files"))
    return runner


@pytest.mark.slow
def test_every_asset_lies_in_the_bucket(lineage, s3):
    for asset in build_defs().resolve_asset_graph().materializable_asset_keys:
        path = recorded(lineage, asset, None, "path")
        assert path is not None, asset
        assert path.startswith(f"{s3}/root/"), asset
        assert exists(path), asset


@pytest.mark.slow
def test_the_dropped_file_is_repaired_in_the_bucket_with_its_report(lineage, s3):
    (file,) = lineage.get_dynamic_partitions("inbox_files")
    assert {f"{file}.wav", f"{file}.wav.json"} <= set(names_in(f"{s3}/root/restored"))


@pytest.mark.slow
def test_nothing_is_left_on_this_machine_but_the_instance(lineage):
    home = Path(lineage.root_directory)
    assert not (home / "data").exists()
    assert not list(home.rglob("*.flac"))
    assert not list(home.rglob("*.safetensors"))


@pytest.mark.slow
def test_no_credential_is_in_the_instance_or_the_bucket(lineage, s3):
    home = Path(lineage.root_directory)
    for database in home.rglob("*.db"):
        with sqlite3.connect(database) as connection:
            assert SECRET not in "".join(connection.iterdump()), database
    for file in home.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file
    filesystem = fsspec.filesystem("s3")
    for path in filesystem.find(s3):
        if path.endswith((".json", ".jsonl", ".html", ".txt")):
            assert SECRET.encode() not in filesystem.cat_file(path), path


@pytest.mark.slow
def test_a_bad_recording_is_quarantined_with_its_reason(lineage):
    record = latest_record(lineage, key("audio/pristine"), lineage.get_dynamic_partitions("shards")[0])
    assert record.asset_materialization.metadata["quarantined"].value == 1
    assert "broken" in record.asset_materialization.metadata["quarantine"].value
