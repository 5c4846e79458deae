import numpy as np
import pytest

from audiobuff_core.errors import DataMissing
from audiobuff_core.evaluation.bootstrap import mean_interval, ratio_interval
from audiobuff_core.seeding import numpy_generator


def test_interval_agrees_with_the_normal_one():
    values = numpy_generator("values").normal(3.0, 2.0, 200)
    interval = mean_interval(values, seed=1)
    half = 1.96 * values.std(ddof=0) / np.sqrt(200)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.03)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    draws = numpy_generator("coverage").normal(1.0, 1.0, (150, 25))
    covered = sum(i.low <= 1.0 <= i.high for i in (mean_interval(row, seed=2) for row in draws))
    assert 0.86 <= covered / 150 <= 0.99


def test_the_same_seed_gives_the_same_interval():
    values = list(numpy_generator("seed test").normal(0, 1, 30))
    assert mean_interval(values, seed=5) == mean_interval(values, seed=5)
    assert mean_interval(values, seed=5) != mean_interval(values, seed=6)


def test_few_values_never_exclude_zero():
    assert not mean_interval([5.0], seed=1).excludes_zero
    assert not mean_interval([5.0] * 5, seed=1).excludes_zero
    assert mean_interval([5.0] * 6, seed=1).excludes_zero
    assert mean_interval([-5.0] * 6, seed=1).excludes_zero
    assert not mean_interval([-5.0, 5.0] * 6, seed=1).excludes_zero


def test_one_value_is_its_own_interval():
    interval = mean_interval([2.5], seed=1)
    assert (interval.mean, interval.low, interval.high) == (2.5, 2.5, 2.5)


def test_no_values_and_infinite_values_are_refused():
    with pytest.raises(DataMissing, match="no values"):
        mean_interval([], seed=1)
    with pytest.raises(ValueError, match="finite"):
        mean_interval([1.0, float("inf")], seed=1)


def test_a_ratio_of_means_is_paired_and_none_where_the_whole_may_be_nothing():
    wholes = [4.0, 8.0, 6.0, 5.0, 7.0, 9.0]
    half = ratio_interval([one / 2 for one in wholes], wholes, seed=1)
    assert (half.low, half.mean, half.high) == pytest.approx((0.5, 0.5, 0.5))  # paired: the same in every resample
    assert ratio_interval([1.0, 1.0], [1.0, -1.0], seed=1) is None
    with pytest.raises(DataMissing, match="A ratio of no values"):
        ratio_interval([], [], seed=1)
