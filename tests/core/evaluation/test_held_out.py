from pathlib import Path

import numpy as np
import pytest

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.render import render
from audiobuff_core.errors import DataMissing, InvalidConfig
from audiobuff_core.evaluation.held_out import EVALUATION_KINDS, damage_held_out, load_held_out, loudest_clip


def test_the_kind_seed_takes_every_held_out_track_and_no_other(root, shard, held_out):
    made = damage_held_out(root, "seed", shards=[shard], clip_seconds=0.5, max_clips=2)
    assert [item.track_id for item in made.items] == sorted(one.track_id for one in held_out)


def test_other_kinds_take_at_most_so_many(root, shard, held_out):
    made = damage_held_out(root, "hum", shards=[shard], clip_seconds=0.5, max_clips=3)
    assert len(made.items) == 3
    assert {item.track_id for item in made.items} <= {one.track_id for one in held_out}


def test_damaged_clips_follow_from_their_rows(root, shard):
    made = damage_held_out(root, "noise", shards=[shard], clip_seconds=0.5, max_clips=2)
    for item in made.items:
        clean, degraded = read_audio(item.clean_path), read_audio(item.degraded_path)
        assert clean.num_samples == round(0.5 * clean.sample_rate) == degraded.num_samples
        assert np.array_equal(render(item.row, clean).samples, degraded.samples)
        assert not np.array_equal(clean.samples, degraded.samples)
        level = np.sqrt(np.mean(np.square(degraded.samples * item.gain)))
        assert level == pytest.approx(0.1, rel=1e-3)


def test_a_second_run_changes_nothing_and_a_seed_changes_all(root, shard):
    options = {"shards": [shard], "clip_seconds": 0.5, "max_clips": 2}
    first = damage_held_out(root, "noise", **options)
    times = {path: path.stat().st_mtime_ns for path in Path(first.path).iterdir()}
    assert damage_held_out(root, "noise", **options) == first == load_held_out(root, "noise")
    assert {path: path.stat().st_mtime_ns for path in Path(first.path).iterdir()} == times
    other = damage_held_out(root, "noise", seed=2, **options)
    assert other.digest != first.digest
    assert damage_held_out(root, "noise", **options).digest == first.digest


def test_a_lost_clip_is_made_again_and_the_others_are_kept(root, shard):
    options = {"shards": [shard], "clip_seconds": 0.5, "max_clips": 3}
    made = damage_held_out(root, "noise", **options)
    lost, kept = Path(made.items[0].degraded_path), Path(made.items[1].degraded_path)
    before, kept_time = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    with pytest.raises(DataMissing, match="gone"):
        load_held_out(root, "noise")
    assert damage_held_out(root, "noise", **options) == made
    assert lost.read_bytes() == before
    assert kept.stat().st_mtime_ns == kept_time


def test_clean_clips_are_untouched(root, shard):
    made = damage_held_out(root, "clean", shards=[shard], clip_seconds=0.5, max_clips=1)
    item = made.items[0]
    assert np.array_equal(read_audio(item.clean_path).samples, read_audio(item.degraded_path).samples)


def test_the_loudest_part_is_cut():
    samples = np.full((1, 4000), 0.01, np.float32)
    samples[0, 2500:3000] = 0.5
    start, clip = loudest_clip(Waveform(samples, 1000), 0.5)
    assert start == 2.5
    assert (clip.samples == 0.5).all()
    start, whole = loudest_clip(Waveform(samples, 1000), 60.0)
    assert start == 0
    assert whole.num_samples == 4000


def test_options_that_make_no_sense_are_refused(root, shard):
    for kind, options in (("demo", {}), ("seed", {"max_clips": 0}), ("seed", {"clip_seconds": 0.0})):
        with pytest.raises(InvalidConfig, match="expected"):
            damage_held_out(root, kind, shards=[shard], **options)
    with pytest.raises(DataMissing):
        damage_held_out(root, "seed", shards=["20200101-00000000"])
    with pytest.raises(DataMissing, match="materialise evaluation/degraded"):
        load_held_out(root, "hum")


def test_the_training_mixture_is_no_kind_of_its_own():
    assert "seed" in EVALUATION_KINDS
    assert "clean" in EVALUATION_KINDS
    assert "demo" not in EVALUATION_KINDS
    assert len(EVALUATION_KINDS) >= 8
