"""The history of champions, and the way back."""

import pytest
from evaluated_clips import better, evaluate

from audiobuff_core.errors import CheckpointNotFound, DataMissing, InvalidCheckpoint, InvalidConfig
from audiobuff_core.evaluation.pointers import read_pointer, remember, write_pointer
from audiobuff_core.evaluation.reigns import reigns, roll_back, withdrawn_weights
from audiobuff_core.evaluation.release import compare_with_champion, load_champion, promote, propose_candidate
from audiobuff_core.files import join, write_json


def crown(root, name, previous):
    """What a promotion leaves, and the export of the weights."""
    content = {"checkpoint": name, "weights_sha256": f"weights of {name}", "metrics": {"seed": "m"}}
    remember(root, {**content, "previous": previous, "reason": f"{name} was not worse."})
    write_pointer(root, "champion", content)
    write_json(join(root, "checkpoints", name, "config.json"), {"weights_sha256": f"weights of {name}"})


@pytest.fixture
def three(tmp_path):
    """Champions a, b, c one after the other."""
    root = str(tmp_path)
    for name, previous in (("a", None), ("b", "a"), ("c", "b")):
        crown(root, name, previous)
    return root


def champion(root):
    return read_pointer(root, "champion").checkpoint


def test_history_says_who_was_champion_when_and_why(three):
    told = reigns(three)
    assert [(one.checkpoint, one.previous, one.reason) for one in told] == [
        ("a", None, "a was not worse."), ("b", "a", "b was not worse."), ("c", "b", "c was not worse."),
    ]  # fmt: skip
    assert [one.until for one in told] == [told[1].since, told[2].since, None]


def test_each_rollback_goes_one_champion_back(three):
    assert roll_back(three, reason="it hums").checkpoint == "b"
    assert champion(three) == "b"
    assert reigns(three)[-1].reason == "Rolled back from c: it hums"
    assert withdrawn_weights(three) == {"weights of c": "Rolled back from c: it hums"}
    assert roll_back(three).checkpoint == "a"
    assert set(withdrawn_weights(three)) == {"weights of b", "weights of c"}
    with pytest.raises(DataMissing, match="Champion a is the first"):
        roll_back(three)
    assert [one.checkpoint for one in reigns(three)] == ["a", "b", "c", "b", "a"]


def test_rollback_after_a_later_promotion_skips_what_was_taken_back(three):
    roll_back(three)
    crown(three, "d", "b")
    assert roll_back(three).checkpoint == "b"
    assert set(withdrawn_weights(three)) == {"weights of c", "weights of d"}


def test_rollback_to_a_named_one(three):
    assert roll_back(three, to="a").checkpoint == "a"
    assert set(withdrawn_weights(three)) == {"weights of b", "weights of c"}
    assert roll_back(three, to="c").checkpoint == "c"
    assert "weights of c" not in withdrawn_weights(three)
    for to in ("c", "nonesuch"):
        with pytest.raises(InvalidConfig, match="expected a champion of earlier, one of a, b"):
            roll_back(three, to=to)


def test_weights_that_are_gone_or_others_are_refused(three):
    write_json(join(three, "checkpoints", "b", "config.json"), {"weights_sha256": "others"})
    with pytest.raises(InvalidCheckpoint, match="weights others: expected weights of b"):
        roll_back(three)
    crown(three, "e", "c")
    for name, previous in (("f", "e"), ("g", "f")):
        remember(three, {"checkpoint": name, "weights_sha256": name, "metrics": {}, "previous": previous, "reason": ""})
    with pytest.raises(CheckpointNotFound, match="gone"):
        roll_back(three)
    assert champion(three) == "e"


def test_nothing_to_roll_back(tmp_path):
    assert reigns(str(tmp_path)) == ()
    with pytest.raises(DataMissing, match="never was a champion"):
        roll_back(str(tmp_path))


def test_what_was_rolled_back_is_not_promoted_again(evaluated, shard):
    propose_candidate(evaluated, "aaaa")
    promote(evaluated)
    write_json(join(evaluated, "checkpoints", "aaaa", "config.json"), {
        "weights_sha256": load_champion(evaluated).weights_sha256, "meta": {"encoders": {"codec": "builtin"}},
    })  # fmt: skip
    evaluate(evaluated, shard, "bbbb", better, kinds=("seed",))
    propose_candidate(evaluated, "bbbb")
    comparison = compare_with_champion(evaluated)
    assert not comparison.not_worse
    assert "not measured on noise, clean" in comparison.reason
    evaluate(evaluated, shard, "bbbb", better)
    propose_candidate(evaluated, "bbbb")
    assert promote(evaluated).checkpoint == "bbbb"
    roll_back(evaluated, reason="sounds dull")
    assert load_champion(evaluated).checkpoint == "aaaa"
    comparison = compare_with_champion(evaluated)
    assert not comparison.not_worse
    assert "sounds dull" in comparison.reason
    with pytest.raises(InvalidCheckpoint, match="taken back"):
        promote(evaluated)
