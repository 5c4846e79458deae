import math
from dataclasses import replace

import numpy as np
import pytest

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.builtin import MdctCodec
from audiobuff_core.errors import CheckpointNotFound, DataMissing, MetricUnavailable, StoreMismatch
from audiobuff_core.evaluation.held_out import damage_held_out
from audiobuff_core.evaluation.measure import load_metrics, measure_set, round_trip
from audiobuff_core.evaluation.metrics.lsd import lsd_db
from audiobuff_core.evaluation.metrics.registry import METRICS as METRICS_BY_NAME
from audiobuff_core.evaluation.metrics.registry import QUICK
from audiobuff_core.evaluation.restorations import restore_set
from audiobuff_core.evaluation.table import METRICS, ClipMeasures, MetricTable, summarise
from audiobuff_core.files import join, write_json

CODEC = MdctCodec()


def prepared(root, shard, restore, kind="noise", max_clips=3, identity=None):
    clips = damage_held_out(root, kind, shards=[shard], clip_seconds=0.5, max_clips=max_clips)
    made = restore_set(root, "abcd", kind, restore=restore, identity=identity or {"checkpoint_sha256": "ab"})
    return clips, made


def test_the_rows_are_what_the_metrics_say(root, shard, restore):
    clips, made = prepared(root, shard, restore)
    table = measure_set(root, "abcd", "noise", codec=CODEC)
    assert [item.track_id for item in table.items] == [item.track_id for item in clips.items]
    clean, output = (
        read_audio(path).samples[0].astype(float) for path in (clips.items[1].clean_path, made.items[1].path)
    )
    assert table.items[1].restored["lsd_db"] == pytest.approx(lsd_db(clean, output))
    values = [item.degraded["si_sdr_db"] for item in table.items]
    assert table.degraded["si_sdr_db"] == pytest.approx(np.mean(values))
    gains = [item.degraded["lsd_db"] - item.restored["lsd_db"] for item in table.items]
    assert table.gains["lsd_db"]["mean"] == pytest.approx(np.mean(gains))
    assert table.gains["lsd_db"]["low"] <= table.gains["lsd_db"]["mean"] <= table.gains["lsd_db"]["high"]
    assert load_metrics(root, "abcd", "noise").digest == table.digest


def test_the_ceiling_of_the_builtin_codec_is_near_perfect(root, shard, restore):
    prepared(root, shard, restore)
    ceiling = measure_set(root, "abcd", "noise", codec=CODEC).ceiling
    assert ceiling["si_sdr_db"] == 30.0
    assert ceiling["lsd_db"] < 0.2


def test_a_restorer_that_does_nothing_gains_nothing(root, shard):
    prepared(root, shard, lambda waveform: waveform)
    table = measure_set(root, "abcd", "noise", codec=CODEC)
    assert table.gains["lsd_db"]["mean"] == table.gains["si_sdr_db"]["mean"] == 0
    assert not table.gains["lsd_db"]["excludes_zero"]
    assert table.closed_shares["lsd_db"] == 0


def test_clean_clips_have_no_gap_to_close(root, shard):
    prepared(root, shard, lambda waveform: waveform, kind="clean")
    table = measure_set(root, "abcd", "clean", codec=CODEC)
    assert {name: table.degraded[name] for name in METRICS} == {"lsd_db": 0.0, "si_sdr_db": 30.0}
    assert set(table.closed_shares.values()) == {None}


def test_level_and_harm_are_measured_too_and_gaps_are_named(root, shard, restore, monkeypatch):
    prepared(root, shard, lambda waveform: waveform.scaled(2.0))
    table = measure_set(root, "abcd", "noise", codec=CODEC)
    assert set(table.gain_intervals) | set(table.gaps) == set(QUICK)
    assert table.gaps["silence_added_db"] == "3 of 3 clips: the clean recording is nowhere silent"
    assert table.restored["lufs_delta"] - table.degraded["lufs_delta"] == pytest.approx(20 * math.log10(2), abs=0.01)
    assert "lufs_delta" not in table.lost
    assert table.others[0].name == "lufs_delta"
    lacking = replace(METRICS_BY_NAME["pesq_mos"], packages=("no_such_package",))
    monkeypatch.setitem(METRICS_BY_NAME, "pesq_mos", lacking)
    chosen = measure_set(root, "abcd", "noise", codec=CODEC, metrics=["pesq_mos", "mr_stft"])
    assert set(chosen.gain_intervals) == {*METRICS, "mr_stft"}
    assert "PESQ needs no_such_package" in chosen.gaps["pesq_mos"]
    assert load_metrics(root, "abcd", "noise").gaps == chosen.gaps
    with pytest.raises(MetricUnavailable, match="No metric is called loudness"):
        measure_set(root, "abcd", "noise", codec=CODEC, metrics=["loudness"])


def test_an_unchanged_set_is_not_measured_again(root, shard, restore, monkeypatch):
    prepared(root, shard, restore)
    table = measure_set(root, "abcd", "noise", codec=CODEC)
    monkeypatch.setattr("audiobuff_core.evaluation.measure._measure", None)
    assert measure_set(root, "abcd", "noise", codec=CODEC).digest == table.digest


def test_restorations_of_other_clips_are_refused(root, shard, restore):
    prepared(root, shard, restore)
    damage_held_out(root, "noise", shards=[shard], clip_seconds=0.5, max_clips=3, seed=7)
    with pytest.raises(DataMissing, match="other damaged clips"):
        measure_set(root, "abcd", "noise", codec=CODEC)


def test_the_codec_is_that_of_the_checkpoint(root, shard, restore):
    prepared(root, shard, restore, identity={"encoders": {"target": CODEC.identity.as_dict()}})
    with pytest.raises(CheckpointNotFound, match=r"config\.json"):
        measure_set(root, "abcd", "noise")
    write_json(join(root, "checkpoints", "abcd", "config.json"), {"meta": {"encoders": {"codec": "builtin"}}})
    assert measure_set(root, "abcd", "noise").digest == measure_set(root, "abcd", "noise", codec=CODEC).digest
    prepared(root, shard, restore, identity={"encoders": {"target": {"name": "other"}}})
    with pytest.raises(StoreMismatch, match="same codec"):
        measure_set(root, "abcd", "noise")


def test_the_round_trip_keeps_rate_channels_and_samples():
    samples = np.random.default_rng(1).normal(0, 0.1, (2, 22_051)).astype(np.float32)
    there = round_trip(CODEC, Waveform(samples, 48_000), gain=2.0)
    assert there.samples.shape == (2, 22_051)
    assert there.sample_rate == 48_000


def test_missing_metrics_name_the_step():
    with pytest.raises(DataMissing, match="materialise evaluation/metrics"):
        load_metrics("nowhere", "abcd", "noise")


def test_the_worst_clips_come_first_and_the_gap_is_shared():
    def clip(name, lsd, ratio):
        floor, ceiling = {"lsd_db": 10.0, "si_sdr_db": 5.0}, {"lsd_db": 0.0, "si_sdr_db": 25.0}
        return ClipMeasures(name, name, floor, {"lsd_db": lsd, "si_sdr_db": ratio}, ceiling)

    items = (clip("good", 4.0, 15.0), clip("bad", 12.0, 2.0), clip("fair", 8.0, 7.0))
    intervals, gains = summarise(items, seed=1)
    table = MetricTable("key", "seed", "digest", "path", items, intervals, gains)
    assert [item.track_id for item in table.worst()] == ["bad", "fair", "good"]
    assert [item.track_id for item in table.worst(1)] == ["bad"]
    assert table.closed_shares["lsd_db"] == pytest.approx(2 / 10)
    assert table.closed_shares["si_sdr_db"] == pytest.approx(3 / 20)
    assert not math.isnan(table.gains["lsd_db"]["low"])
