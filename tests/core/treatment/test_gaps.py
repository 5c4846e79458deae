import numpy as np
import pytest
from sounds_to_treat import RATE, drums, plucked, square_waves, tones, waveform

from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.treatment.gaps import FillGaps, lost_packets


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


def lossy(clean, lost, packet=441, start=100):
    """`clean` less packets of 20 ms, those of the numbers `lost`."""
    damaged = clean.copy()
    for number in lost:
        damaged[start + packet * number : start + packet * (number + 1)] = 0.0
    return damaged


PACKETS = (20, 21, 35, 50, 51, 52, 70, 90, 91, 110, 130, 150)


def test_lost_packets_are_found_by_their_grid_and_filled_though_others_are_near():
    clean = tones() + 0.001
    damaged = lossy(clean, PACKETS)
    treated = FillGaps().treat(waveform(damaged))
    after = treated.waveform.samples[0].astype(np.float64)
    gone = damaged == 0.0
    assert np.array_equal(lost_packets(waveform(damaged).samples[0], RATE), gone)
    assert np.square(after - clean)[gone].sum() < 0.1 * np.square(clean)[gone].sum()
    assert np.array_equal(treated.waveform.samples[0][~gone], waveform(damaged).samples[0][~gone])
    assert len(treated.repairs) >= len(PACKETS) - 5


def test_hits_that_fade_before_pauses_on_their_own_grid_stay():
    hit = np.exp(-np.arange(882) / 90.0) * np.sin(np.arange(882) / 3.0)
    sound = np.zeros(RATE * 3)
    for number in range(0, 140, 3):
        sound[441 * number + 1 : 441 * number + 883] = hit + 1e-6
    assert not lost_packets(waveform(sound).samples[0], RATE).any()


def test_what_fills_lost_packets_is_not_louder_than_the_rest():
    clean = np.clip(tones() + 0.001, -0.3, 0.3)
    after = FillGaps().treat(waveform(lossy(clean, PACKETS))).waveform.samples
    assert np.abs(after).max() <= np.float32(0.3)


def test_pauses_on_no_grid_and_a_long_loss_stay():
    clean = tones() + 0.001
    generator = np.random.default_rng(7)
    pauses = clean.copy()
    for first in generator.integers(1000, len(clean) - 5000, 12):
        pauses[first : first + int(generator.integers(300, 2500))] = 0.0
    assert not lost_packets(waveform(pauses).samples[0], RATE).any()
    damaged = lossy(clean, (*PACKETS, *range(160, 168)))
    after = FillGaps().treat(waveform(damaged)).waveform.samples[0]
    long = slice(100 + 441 * 160, 100 + 441 * 168)
    assert not after[long].any()
    assert after[100 + 441 * 20 : 100 + 441 * 21].any()
