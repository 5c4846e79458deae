import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from damaged_shards import make_damaged_shards, write_recordings

from audiobuff_core.codecs.builtin import MdctCodec
from audiobuff_core.codecs.registry import EncoderChoice
from audiobuff_core.data import snapshot as snapshot_module
from audiobuff_core.data.damage import load_degraded
from audiobuff_core.data.dataset import LatentDataset, collate
from audiobuff_core.data.extraction import STREAMS, clean_record, damaged_record, extract_shard, load_extracted
from audiobuff_core.data.library import split_of
from audiobuff_core.data.snapshot import load_snapshot, make_snapshot
from audiobuff_core.data.store import open_group
from audiobuff_core.errors import DataLeak, DataMissing, StoreMismatch, StoreNotSealed
from audiobuff_core.files import read_json, write_json

BUILTIN = EncoderChoice()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    root = str(folder / "root")
    write_recordings(folder / "recordings")
    shards = make_damaged_shards(root, folder / "recordings")
    for shard in shards:
        for stream in STREAMS:
            extract_shard(root, shard, stream, encoders=BUILTIN)
    return folder / "root", shards


@pytest.fixture
def root(prepared, tmp_path):
    shutil.copytree(prepared[0], tmp_path / "root")
    return str(tmp_path / "root")


@pytest.fixture
def shards(prepared):
    return prepared[1]


def altered(monkeypatch, change):
    """Let `make_snapshot` see every item as `change` makes it."""

    def load(root, shard):
        real = load_degraded(root, shard)
        return replace(real, items=tuple(change(item) for item in real.items))

    monkeypatch.setattr(snapshot_module, "load_degraded", load)


def test_it_has_every_damaged_item_with_its_split(root, shards):
    made = make_snapshot(root, shards, encoders=BUILTIN)
    expected = sorted(
        (item.track_id, item.variant, item.row.audio_hash)
        for shard in shards
        for item in load_degraded(root, shard).items
    )
    assert [(item.track_id, item.variant, item.audio_hash) for item in made.items] == expected
    assert all(item.split == split_of(item.audio_hash) for item in made.items)
    assert {item.split for item in made.items} == {"train", "validation"}
    assert len(shards) == 2
    assert made.target_rate == Fraction(44_100, 512)
    assert made.encoders == BUILTIN


def test_its_groups_hold_its_items(root, shards):
    made = make_snapshot(root, shards, encoders=BUILTIN)
    for item in made.items:
        groups = {stream: open_group(item.groups[stream], encoder=made.identities[stream]) for stream in STREAMS}
        assert groups["target"].frames_of(clean_record(item.track_id, item.variant)) == item.num_frames
        for group in groups.values():
            assert group.frames_of(damaged_record(item.track_id, item.variant)) > 0


def test_statistics_are_those_of_the_training_items_with_full_band(root, shards):
    made = make_snapshot(root, shards, encoders=BUILTIN)
    training = [item for item in made.items if item.split == "train" and item.trained_below_hz is None]
    assert 0 < len(training) < sum(item.split == "train" for item in made.items)  # a third came at 22.05 kHz
    for stream, name in (("target", clean_record), ("structure", damaged_record), ("semantic", damaged_record)):
        frames = np.concatenate(
            [
                open_group(item.groups[stream]).record(name(item.track_id, item.variant)).values[0].double().numpy()
                for item in training
            ]
        )
        mean, std = made.statistics[stream]
        # The statistics are taken before the values are rounded to float16.
        np.testing.assert_allclose(mean, frames.mean(0), atol=3e-3)
        floor = 0.02 * np.sqrt(frames.var(0).mean())
        np.testing.assert_allclose(std, np.maximum(frames.std(0), floor), rtol=5e-3, atol=1e-4)
    assert made.target_mean == made.statistics["target"][0]
    assert made.semantic_std == made.statistics["semantic"][1]
    assert min(made.target_std + made.structure_std + made.semantic_std) > 0


def test_the_same_latents_give_the_same_snapshot(root, shards):
    made = make_snapshot(root, shards, encoders=BUILTIN)
    written = Path(made.path).stat().st_mtime_ns
    again = make_snapshot(root, [*reversed(shards), shards[0]], encoders=BUILTIN)
    assert (again.digest, again.path) == (made.digest, made.path)
    assert Path(made.path).name == f"{made.digest[:16]}.json"
    assert Path(made.path).stat().st_mtime_ns == written
    assert load_snapshot(made.path).items == made.items


def test_fewer_shards_are_another_snapshot_beside_the_first(root, shards):
    both = make_snapshot(root, shards, encoders=BUILTIN)
    one = make_snapshot(root, shards[:1], encoders=BUILTIN)
    assert one.digest != both.digest
    assert load_snapshot(both.path).digest == both.digest


def test_it_moves_with_its_folder(root, shards, tmp_path):
    made = make_snapshot(root, shards, encoders=BUILTIN)
    shutil.move(root, tmp_path / "elsewhere")
    moved = load_snapshot(str(tmp_path / "elsewhere" / "snapshots" / Path(made.path).name))
    assert moved.digest == made.digest
    item = moved.items[0]
    assert item.groups["target"].startswith(str(tmp_path / "elsewhere"))
    assert open_group(item.groups["target"]).frames_of(damaged_record(item.track_id, item.variant)) == item.num_frames


def test_a_relative_path_will_do(root, shards, monkeypatch):
    made = make_snapshot(root, shards, encoders=BUILTIN)
    monkeypatch.chdir(Path(root) / "snapshots")
    item = load_snapshot(Path(made.path).name).items[0]
    assert open_group(item.groups["target"]).record_ids


def test_a_recording_in_two_splits_is_refused(root, shards, monkeypatch):
    hashes = sorted({item.row.audio_hash for shard in shards for item in load_degraded(root, shard).items})
    other = {hashes[0]: "validation"}

    def change(item):
        wrong = item.variant == 1 and item.row.audio_hash in other
        return replace(item, split="validation" if item.split == "train" else "train") if wrong else item

    altered(monkeypatch, change)
    with pytest.raises(DataLeak, match=r"is in .*, but its audio is in .*: remove one"):
        make_snapshot(root, shards, encoders=BUILTIN)


def test_a_held_out_item_is_refused(root, shards, monkeypatch):
    altered(monkeypatch, lambda item: replace(item, split="held_out"))
    with pytest.raises(DataLeak, match="held out"):
        make_snapshot(root, shards, encoders=BUILTIN)


def test_nothing_to_train_on_is_refused(root, shards, monkeypatch):
    with pytest.raises(DataMissing, match="No training items in 0 shards"):
        make_snapshot(root, [], encoders=BUILTIN)
    altered(monkeypatch, lambda item: replace(item, split="validation"))
    with pytest.raises(DataMissing, match="No training items in 2 shards"):
        make_snapshot(root, shards, encoders=BUILTIN)


def test_missing_latents_are_named(root, shards):
    shutil.rmtree(load_extracted(root, shards[1], "semantic", encoders=BUILTIN).path)
    with pytest.raises(DataMissing, match=f"{shards[1]} has no semantic latents"):
        make_snapshot(root, shards, encoders=BUILTIN)


def test_unsealed_latents_are_named(root, shards):
    (Path(load_extracted(root, shards[0], "structure", encoders=BUILTIN).path) / "manifest.json").unlink()
    with pytest.raises(StoreNotSealed, match="structure"):
        make_snapshot(root, shards, encoders=BUILTIN)


def test_mixed_encoders_are_refused_by_name(root, shards):
    manifest_path = f"{load_extracted(root, shards[1], 'target', encoders=BUILTIN).path}/manifest.json"
    manifest = read_json(manifest_path)
    manifest["encoder"]["name"] = "another-codec"
    write_json(manifest_path, manifest)
    with pytest.raises(StoreMismatch, match=r"is by another-codec-.*expected builtin-mdct"):
        make_snapshot(root, shards, encoders=BUILTIN)


def test_a_changed_snapshot_is_refused(root, shards):
    made = make_snapshot(root, shards, encoders=BUILTIN)
    body = json.loads(Path(made.path).read_text())
    body["items"][0]["split"] = "held_out"
    write_json(made.path, body)
    with pytest.raises(StoreMismatch, match="was changed after it was written"):
        load_snapshot(made.path)


def test_what_is_no_snapshot_is_refused(root, tmp_path):
    with pytest.raises(DataMissing, match="Nothing at"):
        load_snapshot(f"{root}/snapshots/0000000000000000.json")
    write_json(tmp_path / "other.json", [1, 2])
    with pytest.raises(StoreMismatch, match="no training snapshot"):
        load_snapshot(str(tmp_path / "other.json"))


def narrowed(monkeypatch, hz):
    """Let the first training track, by name, have nothing above `hz`, and all others full band; its name."""
    first: list[str] = []

    def change(item):
        if item.split == "train" and not first:
            first.append(item.track_id)
        return replace(item, trained_below_hz=hz if item.track_id in first else None)

    altered(monkeypatch, change)
    return first


def test_where_a_band_ends_travels_into_the_batches(root, shards, monkeypatch):
    whole = make_snapshot(root, shards, encoders=BUILTIN)
    track_id = narrowed(monkeypatch, 8_000.0)
    made = load_snapshot(make_snapshot(root, shards, encoders=BUILTIN).path)
    limited = [item for item in made.items if item.trained_below_hz is not None]
    assert {item.track_id for item in limited} == set(track_id)
    assert made.digest != whole.digest
    assert made.left_out == ()
    dataset = LatentDataset(made, "train", segment_frames=8)
    other = next(item for item in dataset.items if item.trained_below_hz is None)
    batch = collate([dataset.segment_at(item, 0) for item in (limited[0], other)])
    assert batch.trained.sum(dim=1).tolist() == [185, 512]  # 185 x 43.07 Hz is the last edge under 8 kHz
    assert collate([dataset.segment_at(other, 0)]).trained is None


def test_what_a_codec_can_t_mask_is_left_out_by_name(root, shards, monkeypatch):
    track_id = narrowed(monkeypatch, 8_000.0)
    monkeypatch.setattr(MdctCodec, "dims_below", lambda self, hz: None)
    made = load_snapshot(make_snapshot(root, shards, encoders=BUILTIN).path)
    assert made.left_out == tuple(track_id)
    assert not any(item.track_id in track_id for item in made.items)
    altered(monkeypatch, lambda item: replace(item, trained_below_hz=8_000.0))
    with pytest.raises(DataMissing, match="their band ends early and the codec builtin can't mask it"):
        make_snapshot(root, shards, encoders=BUILTIN)
