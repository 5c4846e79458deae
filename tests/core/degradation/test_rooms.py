"""Rooms sound as long, and as their geometry, as their rows say."""

import numpy as np
import pyroomacoustics
import pytest
from pyroomacoustics.experimental import measure_rt60
from tones import RATE, white

from audiobuff_core.degradation.faults import reverb
from audiobuff_core.degradation.plan import draw_row

ROOM = {f"{what}_{axis}": place for what, place in (("source", 0.3), ("microphone", 0.7)) for axis in "xyz"}


@pytest.mark.parametrize(("sample_rate", "num_rooms"), [(8_000, 30), (44_100, 20), (192_000, 4)])
def test_reverb_decays_as_its_rt60_says(sample_rate, num_rooms):
    for index in range(num_rooms):  # rooms of every shape that the table draws
        parameters = draw_row("a", str(index), recipe="reverb", seed=1, variant=0).faults[0].parameters
        response = reverb.impulse_response(parameters, sample_rate, index % 2, np.random.default_rng(index))
        assert response[0] == 1.0  # the direct path, where the dry signal is
        seconds = measure_rt60(response[1:], fs=sample_rate, decay_db=30)
        assert seconds == pytest.approx(parameters["rt60_seconds"], rel=0.03), parameters


def test_a_room_is_the_same_bits_however_many_threads_there_are(generator):
    parameters = {**ROOM, "length_m": 5.0, "width_m": 4.0, "height_m": 3.0, "rt60_seconds": 0.4}
    found = []
    threads = pyroomacoustics.constants.get("num_threads")
    for number in (1, 4):
        pyroomacoustics.constants.set("num_threads", number)
        found.append(reverb.impulse_response(parameters, RATE, 0, np.random.default_rng(1)).tobytes())
    pyroomacoustics.constants.set("num_threads", threads)
    assert found[0] == found[1]


def test_the_first_reflection_comes_when_geometry_says(generator):
    parameters = {**ROOM, "length_m": 10.0, "width_m": 10.0, "height_m": 4.0, "rt60_seconds": 1.0}
    parameters |= {"source_z": 0.25, "microphone_z": 0.25}
    direct = np.hypot(4.0, 4.0)
    floor = np.hypot(direct, 2.0)  # both a metre above it
    response = reverb.impulse_response(parameters, RATE, 0, generator)
    expected = (floor - direct) / 343.0 * RATE
    assert abs(np.argmax(np.abs(response[1:200])) + 1 - expected) <= 1.0
    assert np.abs(response[1:200]).max() < direct / floor  # further away, and a wall has taken of it


@pytest.mark.parametrize("sample_rate", [8_000, 44_100])
def test_a_room_does_not_boom_where_no_source_radiates(sample_rate):
    for index in range(10):
        parameters = draw_row("a", str(index), recipe="reverb", seed=1, variant=0).faults[0].parameters
        response = reverb.impulse_response(parameters, sample_rate, 0, np.random.default_rng(index))
        power = np.square(np.abs(np.fft.rfft(response, 1 << 18)))
        hertz = np.fft.rfftfreq(1 << 18, 1 / sample_rate)
        middle = power[(hertz > 500) & (hertz < 2000)].mean()
        assert power[hertz < 5].mean() < middle, parameters


@pytest.mark.parametrize("rt60_seconds", [0.05, 10.0])
@pytest.mark.parametrize("size", [1.0, 50.0])
def test_impossible_rooms_are_finite(rt60_seconds, size, generator):
    parameters = {**ROOM, "length_m": 2 * size, "width_m": size, "height_m": size, "rt60_seconds": rt60_seconds}
    for place in ({}, {"microphone_x": 0.3, "microphone_y": 0.3, "microphone_z": 0.3}):  # in one spot, too
        damaged = reverb.apply(white(5, 0.2, 8_000), 8_000, parameters | place, generator)
        assert np.isfinite(damaged).all()
        assert np.abs(damaged).max() < 100.0
