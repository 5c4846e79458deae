import numpy as np
import pytest
from sounds_to_treat import RATE, drums, plucked, square_waves, tones, waveform

from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.treatment.gaps import FillGaps


def with_gaps(clean, seconds=0.02, rate=RATE):
    damaged = clean.copy()
    for start in range(rate // 2, len(clean) - rate // 2, rate // 3):
        damaged[start : start + round(seconds * rate)] = 0.0
    return damaged


@pytest.mark.parametrize("rate", [8000, RATE, 48_000])
def test_lost_packets_are_filled(rate):
    clean = tones(rate=rate)
    damaged = with_gaps(clean, rate=rate)
    treated = FillGaps().treat(waveform(damaged, rate=rate))
    assert si_sdr_db(clean, treated.waveform.samples[0].astype(np.float64)) > si_sdr_db(clean, damaged) + 2.5
    assert 8 <= len(treated.repairs) <= 10
    assert {round(one.end_seconds - one.start_seconds, 2) for one in treated.repairs} == {0.02}


def test_everything_but_the_gap_stays_bit_for_bit():
    given = waveform(tones(), with_gaps(tones()))
    after = FillGaps().treat(given).waveform.samples
    assert np.array_equal(after[0], given.samples[0])
    assert np.array_equal(after[1][given.samples[1] != 0], given.samples[1][given.samples[1] != 0])


@pytest.mark.parametrize("sound", [plucked, square_waves, drums, tones])
def test_pauses_of_the_music_stay(sound):
    given = waveform(sound())
    assert FillGaps().treat(given).waveform is given


def test_silence_that_the_sound_fades_into_stays():
    faded = tones()
    pause = np.arange(len(faded)) % (RATE // 2)
    faded *= np.clip((pause - 0.03 * RATE) / (0.03 * RATE), 0.0, 1.0) * np.clip(
        (RATE // 2 - pause) / (0.03 * RATE), 0, 1
    )
    given = waveform(faded)
    assert (given.samples == 0).sum() > 1000
    assert FillGaps().treat(given).waveform is given


def test_silence_between_different_sounds_stays():
    generator = np.random.default_rng(1)
    parts = [tones(1.0), np.zeros(round(0.02 * RATE)), 0.1 * generator.standard_normal(RATE)]
    given = waveform(np.concatenate(parts))
    assert FillGaps().treat(given).waveform is given


def test_long_gap_is_left_to_others():
    given = waveform(with_gaps(tones(), seconds=0.2))
    assert FillGaps().treat(given).waveform is given
