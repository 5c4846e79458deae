"""Quality against speed: who is better stands higher, who is faster further right, and every name can be read."""

from itertools import pairwise

import pytest

from audiobuff_core.evaluation.bootstrap import Interval
from audiobuff_core.evaluation.metrics.registry import METRICS
from audiobuff_core.evaluation.pairs import CEILING, FLOOR
from audiobuff_core.evaluation.scores import Score
from audiobuff_core.evaluation.speed_chart import LINE, draw_speeds

MEANS = {FLOOR: 20.0, CEILING: 0.0, "good": 8.0, "middling": 12.0, "much the same": 12.1, "also": 12.2, "bad": 30.0}
SCORES = {row: {"lsd_db": Score(Interval(mean, mean - 1, mean + 1, 6))} for row, mean in MEANS.items()}


def test_better_is_higher_and_faster_is_further_right():
    drawn = draw_speeds(METRICS["lsd_db"], SCORES, {"good": 0.5, "bad": 50.0, "not measured": 1.0})
    marks = {mark.name: mark for mark in drawn.marks}
    assert set(marks) == {"good", "bad"}
    assert drawn.ceiling < marks["good"].down < drawn.floor < marks["bad"].down
    assert marks["good"].across < marks["bad"].across
    assert marks["good"].low < marks["good"].down < marks["good"].high
    assert [tick.label for tick in drawn.x_ticks] == ["0.1x", "1x", "10x", "100x"]
    assert "good 8 at 0.5 times real time" in drawn.summary
    assert draw_speeds(METRICS["lsd_db"], SCORES, {}) is None


def test_names_of_systems_that_stand_together_do_not_cover_each_other():
    drawn = draw_speeds(METRICS["lsd_db"], SCORES, {"middling": 2.9, "much the same": 3.0, "also": 3.1, "good": 3.0})
    labels = [mark.label for mark in drawn.marks]
    assert [mark.name for mark in drawn.marks] == ["good", "middling", "much the same", "also"]
    assert labels[:2] == [mark.down for mark in drawn.marks[:2]]
    assert [after - before for before, after in pairwise(labels[1:])] == pytest.approx([LINE, LINE])
