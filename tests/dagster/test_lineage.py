"""The whole lineage on a corpus of noises, with a training of seconds: the jobs that the browser shows."""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import soundfile
from made_corpus import make_corpus

from audiobuff_assets.definitions import defs
from audiobuff_assets.demo import trained_checkpoint
from audiobuff_assets.options import DemoOptions
from audiobuff_assets.results import key
from audiobuff_assets.runner import Runner
from audiobuff_core.data.library import list_shards
from audiobuff_core.evaluation.pointers import read_pointer
from audiobuff_core.models.schema import load_model
from audiobuff_core.models.stored import read_weights
from audiobuff_core.training.start import start_digest
from jobs.checkpoints import wanted_evaluations
from jobs.registration import find_arrivals, record_arrivals
from resources.currency import data_versions, latest_record, recorded
from resources.instance import open_instance, prepare_home
from resources.partitions import evaluation_key
from resources.storage import storage_root

KINDS = ("seed", "clean")


@contextmanager
def environment(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")
        patch.setenv("AUDIOBUFF_ROOT", "")
        patch.setenv("OMP_NUM_THREADS", "1")
        yield prepare_home(home)


def run_everything(instance, options):
    runner = Runner(instance, defs, options)
    runner.stage("encode_new_audio", "encode", list_shards(storage_root()))
    runner.stage("train_restoration_model", "train", [None], bars=False)
    runner.stage("damage_held_out_audio", "damage", KINDS)
    checkpoint = trained_checkpoint(instance)
    assert checkpoint is not None
    runner.stage("evaluate_checkpoint", "evaluate", [evaluation_key(checkpoint, kind) for kind in KINDS])
    runner.stage("refresh_leaderboard", "report", [None])
    runner.stage("release_checkpoint", "release", [None])
    runner.stage("restore_inbox", "inbox", instance.get_dynamic_partitions("inbox_files"))
    return runner


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return DemoOptions(out=tmp_path_factory.mktemp("lineage"), profile="test")


@pytest.fixture(scope="module")
def lineage(options):
    """The instance, after every job has run once."""
    corpus = options.out / "corpus"
    make_corpus(corpus)
    with environment(options.home) as home, open_instance(home) as instance:
        root = storage_root()
        record_arrivals(instance, find_arrivals(instance, root, corpus, bundled=True, tracks_per_shard=8))
        run_everything(instance, options)
        yield instance


def metadata(instance, name, partition=None):
    record = latest_record(instance, key(name), partition)
    assert record is not None
    return {entry: value.value for entry, value in record.asset_materialization.metadata.items()}


def test_every_asset_is_materialised_from_nothing(lineage):
    names = {asset.to_user_string() for asset in defs.resolve_asset_graph().get_all_asset_keys()}
    missing = {name for name in names if latest_record(lineage, key(name), None) is None}
    assert missing == set()


def test_every_shard_has_a_version_of_its_own(lineage):
    shards = list_shards(storage_root())
    assert len(shards) == 2
    for name in ("audio/pristine", "audio/degraded", "latents/target", "latents/structure", "latents/semantic"):
        versions = data_versions(lineage, key(name))
        assert sorted(versions) == shards, name
        assert len(set(versions.values())) == len(shards), name


def test_every_materialisation_says_where_it_lies(lineage):
    for asset in defs.resolve_asset_graph().materializable_asset_keys:
        path = recorded(lineage, asset, None, "path")
        assert path is not None, asset
        assert Path(path).exists(), asset
        assert Path(path).is_relative_to(storage_root()), asset


def test_every_materialisation_has_a_picture_small_enough_for_the_event_log_and_a_number(lineage):
    for asset in defs.resolve_asset_graph().materializable_asset_keys:
        found = metadata(lineage, asset.to_user_string()).values()
        (picture,) = [value for value in found if isinstance(value, str) and value.startswith("![")]
        assert "data:image/png;base64," in picture, asset
        assert len(picture) < 100_000, asset
        assert [value for value in found if isinstance(value, int | float)], asset


def test_training_reports_numbers_and_adds_a_partition(lineage):
    found = metadata(lineage, "model/dit_checkpoint")
    assert found["steps"] == 4
    assert np.isfinite(found["loss/val"])
    assert lineage.get_dynamic_partitions("checkpoints") == [found["checkpoint"]]
    folder = Path(found["path"])
    assert folder.name == found["checkpoint"]
    assert json.loads((folder / "done.json").read_text())["weights_sha256"] == found["weights_sha256"]


def test_the_inbox_file_comes_out_with_its_own_shape(lineage):
    place = metadata(lineage, "restoration/restored")["path"]
    assert json.loads(Path(f"{place}.json").read_text())["model_choice"] == "champion"
    info = soundfile.info(place)
    assert (info.samplerate, info.channels, info.frames) == (22_050, 2, 9000)


def test_blocking_checks_all_ran_and_passed(lineage):
    graph = defs.resolve_asset_graph()
    blocking = [check for check in graph.asset_check_keys if graph.get(check).blocking]
    assert blocking
    for check in blocking:
        (record, *_) = lineage.event_log_storage.get_asset_check_execution_history(check, limit=1)
        assert record.event.dagster_event.event_specific_data.passed, check


def test_what_was_evaluated_need_not_be_again_before_a_release(lineage):
    checkpoint = metadata(lineage, "model/dit_checkpoint")["checkpoint"]
    wanted = wanted_evaluations(lineage, defs.resolve_asset_graph(), checkpoint)
    assert wanted == []  # all kinds that have clips were measured on them


def test_nothing_is_redone_when_nothing_changed(lineage, options):
    before = lineage.get_runs_count()
    assert run_everything(lineage, options).seconds == {}
    assert lineage.get_runs_count() == before


@pytest.mark.slow
def test_another_seed_redoes_the_damage_but_finds_the_audio_again(lineage, options):
    shard = list_shards(storage_root())[0]
    pristine, plan = (data_versions(lineage, key(name))[shard] for name in ("audio/pristine", "degradation/plan"))
    Runner(lineage, defs, DemoOptions(out=options.out, profile="test", seed=2)).stage(
        "encode_new_audio", "encode", [shard]
    )
    assert data_versions(lineage, key("audio/pristine"))[shard] == pristine
    assert data_versions(lineage, key("degradation/plan"))[shard] != plan
    Runner(lineage, defs, options).stage("encode_new_audio", "encode", [shard])
    assert data_versions(lineage, key("degradation/plan"))[shard] == plan


@pytest.mark.slow
def test_what_was_deleted_is_made_again_and_is_the_same(lineage, options):
    path = Path(metadata(lineage, "dataset/training_snapshot")["path"])
    content = path.read_bytes()
    path.unlink()
    runner = Runner(lineage, defs, options)
    runner.stage("train_restoration_model", "train", [None], bars=False)
    assert "train_restoration_model" in runner.seconds
    assert path.read_bytes() == content


@pytest.mark.slow
def test_a_file_missing_from_a_folder_is_noticed_and_made_again(lineage, options):
    shard = list_shards(storage_root())[0]
    track = next(Path(metadata(lineage, "audio/pristine", shard)["path"]).glob("*.flac"))
    weights = Path(metadata(lineage, "model/dit_checkpoint")["weights"])
    before = {lost: lost.read_bytes() for lost in (track, weights)}
    for lost in before:
        lost.unlink()
    runner = Runner(lineage, defs, options)
    runner.stage("encode_new_audio", "encode", list_shards(storage_root()))
    runner.stage("train_restoration_model", "train", [None], bars=False)
    assert set(runner.seconds) == {"encode_new_audio", "train_restoration_model"}
    assert {lost: lost.read_bytes() for lost in before} == before


@pytest.mark.slow
def test_a_blocking_check_stops_what_is_downstream(lineage, options, monkeypatch):
    shard = list_shards(storage_root())[0]
    damaged_before = latest_record(lineage, key("audio/degraded"), shard)
    runner = Runner(lineage, defs, DemoOptions(out=options.out, profile="test", seed=3))
    with monkeypatch.context() as patch:
        patch.setattr("audiobuff_core.degradation.plan.draw_row", lambda *_, **__: None)
        with pytest.raises(dg.DagsterError, match="parameters_in_range"):
            runner.stage("encode_new_audio", "encode", [shard])
    assert latest_record(lineage, key("audio/degraded"), shard) == damaged_before
    # The plan was written, but its run failed: it is not taken for current.
    runner.stage("encode_new_audio", "encode", [shard])
    assert "encode_new_audio" in runner.seconds
    Runner(lineage, defs, options).stage("encode_new_audio", "encode", [shard])  # as the other tests expect it


@pytest.mark.slow
def test_a_retraining_begins_with_the_champion(lineage, options, tmp_path):
    champion = read_pointer(storage_root(), "champion")
    config = {"profile": "test", "start_from": "champion"}
    shutil.copytree(options.home, tmp_path / "home")  # the other tests expect one checkpoint
    with environment(tmp_path / "home") as home, open_instance(home) as instance:
        defs.resolve_job_def("train_restoration_model").execute_in_process(
            run_config={"ops": {"model__dit_checkpoint": {"config": config}}}, instance=instance
        )
        found = metadata(instance, "model/dit_checkpoint")
    assert found["checkpoint"] != champion.checkpoint
    assert Path(found["begun_with"]).name == champion.checkpoint
    begun_with = start_digest(read_weights(found["begun_with"]))
    assert load_model(found["path"]).meta["init_from"]["sha256"] == begun_with
