import numpy as np
import pytest
from sounds_to_treat import RATE, drums, square_waves, tones, waveform

from audiobuff_core.degradation.faults import clicks
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.treatment.clicks import Click, Declick

FAULT = {"rate_hz": 2.0, "shortest_ms": 0.1, "longest_ms": 1.0, "lowest_db": 8.0, "highest_db": 24.0}


def noisy_tones(seconds=4.0, rate=RATE):
    return tones(seconds, rate) + 1e-3 * np.random.default_rng(9).standard_normal(round(seconds * rate))


@pytest.mark.parametrize("rate", [8000, RATE, 48_000])
def test_clicks_are_bridged(rate):
    clean = noisy_tones(rate=rate)
    damaged = clicks.apply(clean[None], rate, FAULT, np.random.default_rng(8))[0]
    treated = Declick().treat(waveform(damaged, rate=rate))
    assert si_sdr_db(clean, treated.waveform.samples[0].astype(np.float64)) > si_sdr_db(clean, damaged) + 10.0
    assert all(repair.end_seconds - repair.start_seconds < 0.005 for repair in treated.repairs)


def test_repair_stands_at_the_click_and_nothing_else_is_touched():
    damaged = noisy_tones().astype(np.float32)
    damaged[30_000:30_004] += np.array([0.5, -0.4, 0.3, -0.1], np.float32)
    given = waveform(damaged)
    treated = Declick().treat(given)
    (repair,) = treated.repairs
    assert repair.start_seconds * RATE == pytest.approx(30_000, abs=3)
    assert repair.end_seconds * RATE == pytest.approx(30_004, abs=3)
    assert repair.confidence > 0.8
    changed = np.flatnonzero(treated.waveform.samples[0] != given.samples[0])
    assert set(changed) <= set(range(29_996, 30_009))


@pytest.mark.parametrize("sound", [square_waves, drums, noisy_tones])
def test_attacks_and_edges_are_no_clicks(sound):
    given = waveform(sound())
    assert Declick().treat(given).waveform is given


def test_step_is_no_click():
    step = noisy_tones()
    step[40_000:] += 0.2
    given = waveform(step)
    assert Declick().treat(given).waveform is given


def test_impulse_in_digital_silence_is_a_sound():
    lonely = np.zeros(RATE)
    lonely[9000:9003] = 0.5
    given = waveform(lonely)
    assert Declick().treat(given).waveform is given


def test_what_is_long_must_be_glaring():
    """A drum of a millisecond or more can be bridged too, but does not stand out by 20 dB."""
    for num_samples, drop_db, is_click in ((22, 15.0, True), (23, 19.9, False), (23, 20.0, True)):
        click = Click(1000, 1000 + num_samples, np.zeros(num_samples), drop_db)
        assert click.is_short_or_glaring(RATE) == is_click
