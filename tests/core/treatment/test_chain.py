import json

import numpy as np
import pytest
from sounds_to_treat import RATE, drums, plucked, square_waves, tones, waveform

from audiobuff_core.errors import InvalidAudio, InvalidConfig
from audiobuff_core.treatment.chain import TREATMENTS, treat


@pytest.fixture(scope="module")
def damaged():
    """Hum first, then a recorder that clips, as it happens."""
    seconds = np.arange(6 * RATE) / RATE
    hum = sum(0.03 / k * np.sin(2 * np.pi * 60.05 * k * seconds + k) for k in range(1, 8))
    both = tones(6.0) + hum
    level = 0.6 * np.abs(both).max()
    return waveform(np.clip(both, -level, level))


def test_each_fault_is_found_in_order_of_time(damaged):
    treated = treat(damaged)
    assert {repair.kind for repair in treated.repairs} == {"hum", "clipping"}
    starts = [repair.start_seconds for repair in treated.repairs]
    assert starts == sorted(starts)
    json.dumps([repair.as_dict() for repair in treated.repairs], allow_nan=False)


def test_same_input_same_output_and_the_input_is_not_written_to(damaged):
    before = damaged.samples.copy()
    first, second = treat(damaged), treat(damaged)
    assert np.array_equal(first.waveform.samples, second.waveform.samples)
    assert first.repairs == second.repairs
    assert np.array_equal(damaged.samples, before)


def test_one_switched_off_leaves_the_others(damaged):
    assert {repair.kind for repair in treat(damaged, without=["hum"]).repairs} == {"clipping"}
    assert treat(damaged, without=list(TREATMENTS)).waveform is damaged


def test_unknown_name_is_refused(damaged):
    with pytest.raises(InvalidConfig, match=r"dehiss.*expected any of"):
        treat(damaged, without=["dehiss"])


@pytest.mark.parametrize("sound", [plucked, square_waves, drums])
def test_clean_stereo_comes_back_as_the_same_object(sound):
    given = waveform(sound(), 0.5 * sound())
    assert treat(given).waveform is given


@pytest.mark.parametrize("num_samples", [1, 2, 50])
def test_tiny_recordings(num_samples):
    given = waveform(np.linspace(-0.5, 0.5, num_samples))
    assert treat(given).waveform is given


def test_not_a_number_is_refused():
    with pytest.raises(InvalidAudio, match="NaN"):
        treat(waveform(np.full(1000, np.nan)))
