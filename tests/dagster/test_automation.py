"""Automation conditions: what is made when an input is new, changed or the same; and the switch of everything."""

import os
import subprocess
import sys

import dagster as dg
import pytest
from ticks import KINDS


def requested(place, cursor=None):
    groups = dg.AssetSelection.groups("ingest", "degradation", "latents")
    assets = groups | dg.AssetSelection.assets("evaluation/degraded")
    found = dg.evaluate_automation_conditions(place.defs, place.instance, asset_selection=assets, cursor=cursor)
    names = {
        (asset.to_user_string(), partition)
        for asset in place.defs.resolve_asset_graph().materializable_asset_keys
        for partition in (found.get_requested_partitions(asset) if found.get_num_requested(asset) else ())
    }
    return names, found.cursor


SHARD_ASSETS = (
    "audio/pristine", "degradation/plan", "audio/degraded", "latents/target", "latents/structure", "latents/semantic",
)  # fmt: skip


@pytest.mark.slow
def test_a_new_shard_is_made_whole_a_changed_one_again_and_an_equal_one_not(place):
    place.instance.add_dynamic_partitions("shards", ["one", "two"])
    for shard in ("one", "two"):
        place.event("audio/incoming", "v1", shard)
    found, cursor = requested(place)
    assert found == {(name, shard) for name in SHARD_ASSETS for shard in ("one", "two")}
    for name in SHARD_ASSETS:
        for shard in ("one", "two"):
            place.event(name, f"{name} v1", shard)
    found, cursor = requested(place, cursor)
    assert found == {("evaluation/degraded", kind) for kind in KINDS}
    for kind in KINDS:
        place.event("evaluation/degraded", "v1", kind)
    place.event("audio/pristine", "audio/pristine v1", "one")  # made again, just the same
    found, cursor = requested(place, cursor)
    assert found == set()
    place.event("audio/incoming", "v2", "two")
    found, cursor = requested(place, cursor)
    assert found == {("audio/pristine", "two")}
    place.event("audio/pristine", "audio/pristine v2", "two")
    found, cursor = requested(place, cursor)
    assert {one for one in found if one[0] != "evaluation/degraded"} >= {("degradation/plan", "two")}
    assert {shard for name, shard in found if name in SHARD_ASSETS} == {"two"}


def test_everything_is_off_until_one_variable_switches_it_on():
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from audiobuff_assets.definitions import defs\nrepository = defs.get_repository_def()\n"
        "every = [*repository.sensor_defs, *repository.schedule_defs]\n"
        "print(sorted(one.name for one in every if one.default_status.value == 'RUNNING'))"
    )

    def running(value):
        environment = {**os.environ, "AUDIOBUFF_AUTOMATION": value}
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment).stdout

    assert running("") == "['register_new_audio']\n"
    assert running("on").count(",") == 8
