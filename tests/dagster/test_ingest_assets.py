"""The ingest and degradation assets: what a partition shows, and that one new file redoes one shard."""

import shutil

import dagster as dg
import numpy as np
import pytest
import soundfile

from audiobuff_assets import degradation, ingest
from audiobuff_assets.audio_checks import decodes_and_is_finite, format_is_uniform
from audiobuff_assets.definitions import build_defs
from audiobuff_assets.options import DemoOptions
from audiobuff_assets.pictures import shard_picture
from audiobuff_assets.results import key
from audiobuff_assets.shard_tables import markdown_table
from jobs.registration import find_arrivals, record_arrivals
from resources.currency import data_versions, is_current, latest_record
from resources.storage import Storage

ASSETS = ("audio/pristine", "degradation/plan", "audio/degraded")


class Place:
    """A folder of recordings with an instance that knows it."""

    def __init__(self, instance, folder):
        self.instance, self.folder, self.root = instance, folder / "in", str(folder / "root")
        self.folder.mkdir()
        self.defs = build_defs({"storage": Storage(root=self.root)})
        self.graph = self.defs.resolve_asset_graph()

    def add(self, name, samples):
        soundfile.write(self.folder / name, samples, 44_100)

    def arrive(self):
        arrivals = find_arrivals(self.instance, self.root, self.folder, bundled=False, tracks_per_shard=4)
        record_arrivals(self.instance, arrivals)
        return arrivals.shards

    def stale(self):
        """Partitions that the demo's runner would make again, by asset and shard."""
        options = DemoOptions()
        return {
            (name, shard)
            for name in ASSETS
            for shard in self.instance.get_dynamic_partitions("shards")
            if not is_current(self.instance, self.graph, key(name), shard, options.fingerprint_options(key(name)))
        }

    def materialize(self, shard):
        assets = [ingest.pristine, degradation.plan, degradation.degraded, decodes_and_is_finite, format_is_uniform]
        done = dg.materialize(
            [ingest.incoming, *assets],
            instance=self.instance,
            partition_key=shard,
            resources={"storage": Storage(root=self.root)},
        )
        assert done.success

    def metadata(self, name, shard):
        record = latest_record(self.instance, key(name), shard)
        return {entry: value.value for entry, value in record.asset_materialization.metadata.items()}


def noise(seed):
    return np.random.default_rng(seed).uniform(-0.3, 0.3, 30_000)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with dg.DagsterInstance.ephemeral() as instance:
        made = Place(instance, tmp_path_factory.mktemp("place"))
        for seed in range(5):
            made.add(f"track {seed}.wav", noise(seed))
        made.add("silent|<b>.wav", np.zeros(30_000))
        for shard in made.arrive():
            made.materialize(shard)
        yield made


def test_a_partition_shows_its_worst_tracks_what_was_put_aside_and_a_picture(place):
    (shard,) = [
        one
        for one in data_versions(place.instance, key("audio/pristine"))
        if place.metadata("audio/pristine", one)["quarantined"]
    ]
    found = place.metadata("audio/pristine", shard)
    assert found["tracks"] + found["quarantined"] == 3
    assert "silent: peak 0" in found["quarantine"]
    assert r"silent\|&lt;b>" in found["quarantine"]
    assert found["worst_tracks"].count("\n") == found["tracks"] + 1
    assert place.metadata("audio/incoming", shard) | {"recordings": 3, "copies": 0, "passed_over": 0} == place.metadata(
        "audio/incoming", shard
    )
    for name in ASSETS:
        pictures = [str(value) for value in place.metadata(name, shard).values() if "data:image/png" in str(value)]
        assert len(pictures) == (1 if place.metadata(name, shard).get("rows", 1) else 0), name
        assert all(len(picture) < 100_000 for picture in pictures)


def test_one_added_file_redoes_one_shard(place):
    assert place.stale() == set()
    before = {name: data_versions(place.instance, key(name)) for name in ASSETS}
    assert place.arrive() == ()
    place.add("new.wav", noise(77))
    (new,) = place.arrive()
    assert place.stale() == {(name, new) for name in ASSETS}
    place.materialize(new)
    assert place.stale() == set()
    for name in ASSETS:
        assert data_versions(place.instance, key(name)) == {
            **before[name],
            new: data_versions(place.instance, key(name))[new],
        }


def test_a_moved_folder_changes_no_version(place):
    before = data_versions(place.instance, key("audio/pristine"))
    shutil.move(place.folder, place.folder.parent / "elsewhere")
    place.folder = place.folder.parent / "elsewhere"
    assert place.arrive() == ()
    assert place.stale() == set()
    shard = min(before)
    place.materialize(shard)
    assert data_versions(place.instance, key("audio/pristine")) == before


def test_a_shard_of_bad_recordings_alone_is_made_and_says_why(place):
    (place.folder / "no audio.wav").write_text("words")
    (shard,) = place.arrive()
    place.materialize(shard)
    assert place.metadata("audio/pristine", shard)["tracks"] == 0
    assert "not audio" in place.metadata("audio/pristine", shard)["quarantine"]
    assert place.metadata("audio/degraded", shard)["damaged_tracks"] == 0


def test_tables_are_short_and_safe():
    table = markdown_table(["a", "b"], ([f"x|{row}\n", 0.5] for row in range(30))).value
    assert table.count("\n| ") == 21
    assert table.endswith("... and 10 more")
    assert r"| x\|0\n | 0.5 |" in table


def test_a_picture_is_drawn_of_figures_that_are_not_finite_too():
    drawn = shard_picture({"some": [1.0, np.nan, np.inf], "none": [], "all": [np.nan]}, {})
    assert drawn.value.startswith("![")
