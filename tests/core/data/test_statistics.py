import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiobuff_core.data.statistics import STD_FLOOR_SHARE, ChannelStatistics


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=4), seed=st.integers(0, 99))
def test_merging_parts_is_the_same_as_taking_all_at_once(cuts, seed):
    frames = np.random.default_rng(seed).normal(3, 2, (60, 4)).astype(np.float32)
    merged = ChannelStatistics.merged(ChannelStatistics.of(part) for part in np.split(frames, sorted(cuts)))
    assert merged.count == 60
    np.testing.assert_allclose(merged.mean, frames.astype(np.float64).mean(0), rtol=1e-9)
    np.testing.assert_allclose(merged.std, frames.astype(np.float64).std(0), rtol=1e-6)


def test_a_silent_channel_gets_the_floor():
    frames = np.random.default_rng(0).normal(size=(1000, 4)).astype(np.float32)
    frames[:, 0] = 7
    std = ChannelStatistics.of(frames).std
    assert std[0] == pytest.approx(STD_FLOOR_SHARE * np.sqrt(3 / 4), rel=0.1)


def test_nothing_at_all_has_unit_std():
    assert ChannelStatistics.of(np.zeros((0, 3), np.float32)).std.tolist() == [1, 1, 1]
    assert ChannelStatistics.of(np.ones((5, 3), np.float32)).std.tolist() == [1, 1, 1]


def test_widths_must_agree():
    with pytest.raises(ValueError, match="same width"):
        ChannelStatistics.merged([ChannelStatistics.of(np.zeros((1, width), np.float32)) for width in (2, 3)])
    with pytest.raises(ValueError, match="at least one"):
        ChannelStatistics.merged([])
