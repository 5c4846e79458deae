"""What was changed is told by its place, channels and size, in stretches that can be heard."""

import numpy as np
import pytest

from audiobuff_core.inference.changes import ChangeMeter, changed_places

RATE = 8_000


def places(before, after, step=1_000, start_seconds=0.0):
    meter = ChangeMeter(len(before), RATE)
    for first in range(0, before.shape[1], step):
        meter.add(before[:, first : first + step], after[:, first : first + step])
    return changed_places(meter.energies(), RATE, start_seconds)


def sound(seconds, channels=2):
    return 0.1 * np.random.default_rng(1).standard_normal((channels, round(seconds * RATE))).astype(np.float32)


@pytest.mark.parametrize("step", [1_000, 400, 333, 8_000])
def test_a_place_is_found_however_it_is_cut(step):
    before = sound(3.0)
    after = before.copy()
    after[1, 8_000:12_000] += 0.05
    (place,) = places(before, after, step, start_seconds=5.0)
    assert (place["start_seconds"], place["end_seconds"], place["channels"]) == (6.0, 6.5, [1])
    assert place["size_db"] == pytest.approx(20 * np.log10(0.05), abs=0.01)


def test_what_is_near_is_one_and_what_is_far_is_not():
    before = sound(3.0, 1)
    after = before.copy()
    for begin in (4_000, 5_600, 16_000):
        after[0, begin : begin + 400] += 0.05
    assert [(one["start_seconds"], one["end_seconds"]) for one in places(before, after)] == [(0.5, 0.75), (2.0, 2.05)]


def test_no_change_has_no_place_and_neither_has_a_trifle():
    before = sound(1.0)
    assert places(before, before) == []
    assert places(before, before * np.float32(1.005)) == []


def test_a_long_change_is_parted_where_least_happens():
    before = sound(60.0, 1)
    change = np.full(before.shape[1], 0.05, np.float32)
    change[8 * RATE : 8 * RATE + 400] = 0.01
    found = places(before, before + change)
    assert found[0]["end_seconds"] == 8.0
    assert all(one["end_seconds"] - one["start_seconds"] <= 10 for one in found)
    assert [one["end_seconds"] for one in found[:-1]] == [one["start_seconds"] for one in found[1:]]
    assert (found[0]["start_seconds"], found[-1]["end_seconds"]) == (0.0, 60.0)
