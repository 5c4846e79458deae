from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiobuff_core.codecs.frames import FrameSequence

rates = st.sampled_from([Fraction(50), Fraction(25, 4), Fraction(44_100, 512)])
moments = st.fractions(min_value=-1, max_value=4, max_denominator=97)


@given(rate=rates, start=moments, begin=moments, end=moments, num_frames=st.integers(0, 200))
def test_slicing_by_seconds_keeps_exactly_the_frames_inside(rate, start, begin, end, num_frames):
    values = torch.arange(num_frames, dtype=torch.float32)[None, :, None]
    frames = FrameSequence(values, rate, start)
    part = frames.slice_seconds(begin, end)
    inside = [i for i in range(num_frames) if begin <= start + i / rate < end]
    assert part.values[0, :, 0].tolist() == inside
    assert part.rate == rate
    if inside:
        assert part.start == start + inside[0] / rate


def test_two_rates_share_one_clock():
    fine = FrameSequence(torch.arange(100.0)[None, :, None], Fraction(50))
    coarse = FrameSequence(torch.arange(12.0)[None, :, None], Fraction(25, 4))
    begin, end = Fraction(32, 100), Fraction(96, 100)
    assert fine.slice_seconds(begin, end).times()[0] == coarse.slice_seconds(begin, end).times()[0]


def test_the_mask_is_cut_with_the_frames():
    valid = torch.tensor([True] * 6 + [False] * 4)
    frames = FrameSequence(torch.zeros(1, 10, 3), Fraction(10), Fraction(0), valid)
    assert frames.slice_seconds(Fraction(4, 10), Fraction(8, 10)).mask.tolist() == [True, True, False, False]


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="channels, frames, dim"):
        FrameSequence(torch.zeros(3, 4), Fraction(1))
    with pytest.raises(ValueError, match="rate"):
        FrameSequence(torch.zeros(1, 3, 4), Fraction(0))
    with pytest.raises(ValueError, match="Mask"):
        FrameSequence(torch.zeros(1, 3, 4), Fraction(1), valid=torch.ones(4, dtype=torch.bool))
