import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from audiobuff_assets.definitions import build_defs, defs
from resources.instance import SETTINGS

CHECKOUT = Path(__file__).parents[2]
LOCAL = {"storage", "local_artifact_storage", "compute_logs"}

# key: (group, partitions, pool, upstream, checks; B = blocking)
SHARD, KIND, EVALUATION, INBOX = "shards", "kinds", "checkpoint x kinds", "inbox_files"
LATENT_CHECKS = {"latents_finite B", "pairs_complete B"}
LINEAGE = {
    "audio/incoming": ("ingest", SHARD, None, set(), set()),
    "audio/pristine": (
        "ingest",
        SHARD,
        "audio_io",
        {"audio/incoming"},
        {"decodes_and_is_finite B", "format_is_uniform B", "not_clipped", "bandwidth_is_full"},
    ),
    "degradation/plan": ("degradation", SHARD, None, {"audio/pristine"}, {"parameters_in_range B"}),
    "audio/degraded": (
        "degradation",
        SHARD,
        "audio_io",
        {"audio/pristine", "degradation/plan"},
        {"aligned_with_pristine B", "damage_within_spec"},
    ),
    "latents/target": (
        "latents",
        SHARD,
        "gpu",
        {"audio/pristine", "audio/degraded"},
        LATENT_CHECKS | {"round_trip_quality"},
    ),
    "latents/structure": ("latents", SHARD, "gpu", {"audio/pristine", "audio/degraded"}, LATENT_CHECKS),
    "latents/semantic": ("latents", SHARD, "gpu", {"audio/pristine", "audio/degraded"}, LATENT_CHECKS),
    "dataset/training_snapshot": (
        "training",
        None,
        None,
        {"latents/target", "latents/structure", "latents/semantic"},
        {"no_leakage B", "enough_audio B"},
    ),
    "model/dit_checkpoint": (
        "training",
        None,
        "gpu",
        {"dataset/training_snapshot"},
        {"loss_is_finite B", "weights_reload B", "val_loss_improved"},
    ),
    "evaluation/degraded": ("evaluation", KIND, "audio_io", {"audio/pristine"}, {"aligned_with_pristine B"}),
    "evaluation/restorations": (
        "evaluation",
        EVALUATION,
        "gpu",
        {"evaluation/degraded", "model/dit_checkpoint"},
        {"finite_and_same_length B"},
    ),
    "evaluation/metrics": (
        "evaluation",
        EVALUATION,
        "audio_io",
        {"evaluation/degraded", "evaluation/restorations"},
        {"better_than_input"},
    ),
    "evaluation/leaderboard": (
        "evaluation",
        None,
        None,
        {"evaluation/metrics", "model/dit_checkpoint"},
        {"covers_all_degradations"},
    ),
    "model/candidate": (
        "release",
        None,
        None,
        {"model/dit_checkpoint", "evaluation/leaderboard"},
        {"not_worse_than_champion B", "no_evaluation_track_was_trained_on B"},
    ),
    "model/champion": ("release", None, None, {"model/candidate"}, {"weights_reload B"}),
    "restoration/inbox": ("restoration", INBOX, None, set(), set()),
    "restoration/restored": (
        "restoration",
        INBOX,
        "gpu",
        {"restoration/inbox", "model/champion"},
        {"finite_and_same_length B"},
    ),
}
JOBS = {
    "encode_new_audio",
    "train_restoration_model",
    "damage_held_out_audio",
    "evaluate_checkpoint",
    "refresh_leaderboard",
    "release_checkpoint",
    "restore_inbox",
    "audit_audio",
}


@pytest.fixture(scope="module")
def graph():
    return defs.resolve_asset_graph()


def partitions_name(partitions):
    match partitions:
        case None:
            return None
        case dg.DynamicPartitionsDefinition():
            return partitions.name
        case dg.MultiPartitionsDefinition():
            return EVALUATION
        case dg.StaticPartitionsDefinition():
            return KIND
    raise AssertionError(partitions)


def test_the_lineage_is_that_of_the_design(graph):
    found = {}
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        checks = {
            f"{check.name} B" if graph.get(check).blocking else check.name
            for check in graph.asset_check_keys
            if check.asset_key == key
        }
        found[key.to_user_string()] = (
            node.group_name,
            partitions_name(node.partitions_def),
            next(iter(node.pools or ()), None),
            {parent.to_user_string() for parent in node.parent_keys},
            checks,
        )
    assert found == LINEAGE


def test_every_asset_says_what_it_is(graph):
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert "**Bytes**" in node.description, key
        assert "partition" in node.description, key
        assert node.owners == ["team:audiobuff"], key
        assert node.kinds, key
        assert node.key == dg.AssetKey(["restoration", "inbox"]) or "dagster/column_schema" in node.metadata, key


def test_every_check_says_what_it_looks_at_and_has_the_partitions_of_its_asset(graph):
    for check in graph.asset_check_keys:
        node = graph.get(check)
        assert node.description, check
        assert node.partitions_def == graph.get(check.asset_key).partitions_def, check


def test_jobs_have_their_names_and_resolve():
    repository = defs.get_repository_def()
    assert {job.name for job in repository.get_all_jobs()} - {"__ASSET_JOB"} == JOBS
    for name in JOBS:
        assert defs.resolve_job_def(name).description


SENSORS = {
    "register_new_audio",
    "keep_latents_current",
    "register_new_checkpoints",
    "evaluate_new_checkpoint",
    "release_evaluated_checkpoint",
    "restore_dropped_files",
    "report_failed_runs",
}


def test_sensors_and_schedules_have_their_names_and_say_what_they_do():
    repository = defs.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} == SENSORS
    assert {schedule.name for schedule in repository.schedule_defs} == {"weekly_retraining", "nightly_audit"}
    for one in (*repository.sensor_defs, *repository.schedule_defs):
        assert one.description, one.name


def test_only_the_sensor_that_registers_runs_by_default():
    sensors = {sensor.name: sensor.default_status for sensor in defs.sensors or ()}
    running = {name for name, status in sensors.items() if status == dg.DefaultSensorStatus.RUNNING}
    assert running == {"register_new_audio"}


def test_definitions_load_quickly_and_without_heavy_packages():
    code = (
        "import json, sys, time\nbegin = time.process_time()\nimport audiobuff_assets.definitions\n"
        "heavy = [name for name in ('torch', 'matplotlib', 'transformers', 'zarr', 'av') if name in sys.modules]\n"
        "print(json.dumps([time.process_time() - begin, heavy]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, heavy = json.loads(done.stdout)
    assert heavy == []
    assert seconds < 5  # of this process, so that other work on the machine does not count


def test_workspace_names_the_code_location():
    (location,) = yaml.safe_load((CHECKOUT / "workspace.yaml").read_text())["load_from"]
    assert location["python_module"]["module_name"] == "audiobuff_assets.definitions"
    assert location["python_module"]["location_name"] == "audiobuff"
    # Dagster ignores workspace.yaml where pyproject.toml has one of these.
    assert "[tool.dagster]" not in (CHECKOUT / "pyproject.toml").read_text()
    assert "[tool.dg" not in (CHECKOUT / "pyproject.toml").read_text()


def test_dagster_yaml_says_what_the_demo_uses():
    settings = yaml.safe_load((CHECKOUT / "dagster.yaml").read_text())
    assert {name: value for name, value in settings.items() if name not in LOCAL} == SETTINGS
    assert set(settings) >= LOCAL
    assert ".dagster/" in (CHECKOUT / ".gitignore").read_text().split()


def test_resources_can_be_replaced():
    from resources.storage import Storage

    replaced = build_defs({"storage": Storage(root="/elsewhere")})
    assert replaced.resources is not None
    assert replaced.resources["storage"].url == "/elsewhere"
