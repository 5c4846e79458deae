import json
from pathlib import Path

import numpy as np
import pytest
from evaluated_clips import better, evaluate

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import CheckpointNotFound, DataMissing, InvalidCheckpoint
from audiobuff_core.evaluation.bootstrap import mean_interval
from audiobuff_core.evaluation.held_out import damage_held_out
from audiobuff_core.evaluation.release import (
    _faults,
    compare_with_champion,
    load_candidate,
    load_champion,
    promote,
    propose_candidate,
)


def noisier(waveform):
    """Worse than its input."""
    noise = np.random.default_rng(3).normal(0, 0.05, waveform.samples.shape).astype(np.float32)
    return Waveform(waveform.samples + noise, waveform.sample_rate)


def history(root):
    return [json.loads(line) for line in Path(root, "release", "history.jsonl").read_text().splitlines()]


def test_the_first_candidate_becomes_champion(evaluated):
    with pytest.raises(DataMissing, match="No candidate"):
        compare_with_champion(evaluated)
    candidate = propose_candidate(evaluated, "aaaa")
    assert candidate == load_candidate(evaluated)
    with pytest.raises(DataMissing, match="No champion"):
        load_champion(evaluated)
    assert compare_with_champion(evaluated).not_worse
    champion = promote(evaluated)
    assert champion == load_champion(evaluated)
    assert champion.checkpoint == "aaaa"
    assert set(champion.metrics) == {"seed", "noise", "clean"}
    assert [line["checkpoint"] for line in history(evaluated)] == ["aaaa"]


def test_promoting_the_champion_again_changes_nothing(evaluated):
    propose_candidate(evaluated, "aaaa")
    first = promote(evaluated)
    assert compare_with_champion(evaluated).reason == "The candidate is the champion."
    assert promote(evaluated) == first
    assert len(history(evaluated)) == 1


def test_a_worse_candidate_is_kept_out(evaluated, shard):
    propose_candidate(evaluated, "aaaa")
    promote(evaluated)
    evaluate(evaluated, shard, "bbbb", noisier)
    propose_candidate(evaluated, "bbbb")
    comparison = compare_with_champion(evaluated)
    assert not comparison.not_worse
    assert "worse by" in comparison.reason
    assert comparison.overall["lsd_db"].mean < 0
    with pytest.raises(InvalidCheckpoint, match="keep the champion"):
        promote(evaluated)
    assert load_champion(evaluated).checkpoint == "aaaa"
    assert len(history(evaluated)) == 1


def test_a_better_candidate_takes_over_and_history_remembers(evaluated, shard):
    evaluate(evaluated, shard, "bbbb", noisier)
    propose_candidate(evaluated, "bbbb")
    promote(evaluated)
    propose_candidate(evaluated, "aaaa")
    comparison = compare_with_champion(evaluated)
    assert comparison.not_worse
    assert comparison.reason.startswith("Not worse on ")
    assert promote(evaluated).checkpoint == "aaaa"
    assert [(line["checkpoint"], line["previous"]) for line in history(evaluated)] == [("bbbb", None), ("aaaa", "bbbb")]


def test_one_kind_that_collapses_keeps_a_better_candidate_out(evaluated, shard):
    evaluate(evaluated, shard, "bbbb", lambda waveform: waveform)
    propose_candidate(evaluated, "bbbb")
    promote(evaluated)
    evaluate(evaluated, shard, "cccc", better, kinds=("seed", "noise"))
    evaluate(evaluated, shard, "cccc", noisier, kinds=("clean",))
    propose_candidate(evaluated, "cccc")
    comparison = compare_with_champion(evaluated)
    assert not comparison.not_worse
    assert "Kind clean collapsed" in comparison.reason


def test_a_kind_collapses_by_its_interval_and_not_by_one_clip():
    def faults_of(gains):
        of_kind = {"lsd_db": mean_interval(gains, seed=1), "si_sdr_db": mean_interval([0.0] * len(gains), seed=1)}
        return _faults({}, {"noise": of_kind})

    (fault,) = faults_of([-4.0, -3.5, -5.0, -4.5])
    assert "Kind noise collapsed: LSD is worse by 4.25 dB (3." in fault
    assert faults_of([-40.0, 0.5, 0.4, 0.6, 0.5, 0.5]) == []  # -6 dB on average, by one clip
    assert faults_of([-2.0, -2.1, -2.2]) == []  # surely worse, but no collapse


def test_measurements_of_other_clips_are_not_compared(evaluated, shard):
    propose_candidate(evaluated, "aaaa")
    promote(evaluated)
    for kind in ("seed", "noise", "clean"):
        damage_held_out(evaluated, kind, shards=[shard], clip_seconds=0.4, max_clips=6, seed=9)
    from audiobuff_core.evaluation.measure import measure_set
    from audiobuff_core.evaluation.restorations import restore_set
    from audiobuff_core.files import join, read_json, write_json

    done = read_json(join(evaluated, "checkpoints", "aaaa", "done.json"))
    write_json(join(evaluated, "checkpoints", "bbbb", "done.json"), {**done, "weights_sha256": "bb"})
    write_json(join(evaluated, "checkpoints", "bbbb", "config.json"), {"meta": {"encoders": {"codec": "builtin"}}})
    restore_set(evaluated, "bbbb", "seed", restore=better, identity={})
    measure_set(evaluated, "bbbb", "seed")
    propose_candidate(evaluated, "bbbb")
    comparison = compare_with_champion(evaluated)
    assert not comparison.not_worse
    assert "no clip in common" in comparison.reason


def test_a_candidate_must_be_trained_and_measured(evaluated):
    with pytest.raises(CheckpointNotFound, match="No finished training"):
        propose_candidate(evaluated, "zzzz")
    Path(evaluated, "checkpoints", "zzzz").mkdir()
    Path(evaluated, "checkpoints", "zzzz", "done.json").write_text('{"weights_sha256": "zz"}')
    with pytest.raises(DataMissing, match="never measured"):
        propose_candidate(evaluated, "zzzz")
