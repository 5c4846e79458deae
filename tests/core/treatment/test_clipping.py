import numpy as np
import pytest
import soxr
from sounds_to_treat import RATE, drums, plucked, square_waves, tones, waveform

from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.treatment.clip_levels import find_levels
from audiobuff_core.treatment.clipping import Declip


def clipped(clean, share_of_peak=0.6):
    level = share_of_peak * np.abs(clean).max()
    return np.clip(clean, -level, level)


def test_flat_tops_are_rebuilt():
    clean = tones()
    damaged = clipped(clean)
    treated = Declip().treat(waveform(damaged))
    assert si_sdr_db(clean, treated.waveform.samples[0].astype(np.float64)) > si_sdr_db(clean, damaged) + 4.0
    assert treated.repairs
    assert all(0.1 < repair.confidence <= 1.0 for repair in treated.repairs)


def test_samples_that_were_not_clipped_stay_bit_for_bit_and_the_others_move_outwards():
    damaged = clipped(tones()).astype(np.float32)
    after = Declip().treat(waveform(damaged)).waveform.samples[0]
    flat = np.abs(damaged) >= np.abs(damaged).max() - 1e-6
    assert np.array_equal(after[~flat], damaged[~flat])
    assert (np.abs(after[flat]) >= np.abs(damaged[flat])).all()


def test_repairs_cover_every_changed_sample_and_no_other_channel():
    damaged = clipped(tones())
    quiet = 0.3 * plucked(4.0)
    given = waveform(quiet, damaged)
    treated = Declip().treat(given)
    assert np.array_equal(treated.waveform.samples[0], given.samples[0])
    changed = np.flatnonzero(treated.waveform.samples[1] != given.samples[1]) / RATE
    inside = [any(one.start_seconds <= at < one.end_seconds for one in treated.repairs) for at in changed]
    assert all(inside)
    assert {repair.channels for repair in treated.repairs} == {(1,)}


def test_tops_bent_by_resampling_and_another_level_are_found():
    clean = tones(8.0)
    damaged = 0.37 * soxr.resample(soxr.resample(clipped(clean), RATE, 24_000), 24_000, RATE)[: len(clean)]
    treated = Declip().treat(waveform(damaged))
    assert si_sdr_db(clean, treated.waveform.samples[0].astype(np.float64)) > si_sdr_db(clean, damaged) + 3.0


@pytest.mark.parametrize("sound", [plucked, square_waves, drums, tones])
def test_peaks_that_belong_to_the_music_stay(sound):
    given = waveform(sound())
    treated = Declip().treat(given)
    assert treated.waveform is given
    assert treated.repairs == ()


def test_noise_that_was_cut_off_with_the_sound_is_rebuilt_though_nothing_predicts_it():
    generator = np.random.default_rng(4)
    clean = tones() + 0.1 * generator.standard_normal(len(tones()))
    damaged = clipped(clean, 0.3)
    treated = Declip().treat(waveform(damaged))
    assert si_sdr_db(clean, treated.waveform.samples[0].astype(np.float64)) > si_sdr_db(clean, damaged) + 1.0
    assert all(0.5 <= repair.confidence <= 1.0 for repair in treated.repairs)


def test_what_is_sparse_comes_nearer_than_what_is_predicted():
    clean = np.concatenate([tones(), plucked(4.0)])
    damaged = waveform(clipped(clean, 0.25))
    haste, rest = (Declip(by_prediction_alone=alone).treat(damaged).waveform.samples[0] for alone in (True, False))
    near, nearer = (si_sdr_db(clean, samples.astype(np.float64)) for samples in (haste, rest))
    assert si_sdr_db(clean, damaged.samples[0].astype(np.float64)) + 1.0 < near < nearer - 3.0


def test_pure_tone_and_silence_stay():
    for given in (waveform(0.5 * np.sin(0.05 * np.arange(RATE))), waveform(np.zeros(RATE)), waveform(np.ones(1))):
        assert Declip().treat(given).waveform is given


@pytest.mark.parametrize("rate", [8000, 96_000])
def test_any_rate(rate):
    clean = tones(2.0, rate)
    treated = Declip().treat(waveform(clipped(clean), rate=rate))
    assert si_sdr_db(clean, treated.waveform.samples[0].astype(np.float64)) > si_sdr_db(clean, clipped(clean)) + 3.0


def test_flat_steps_of_few_bits_are_no_clipping():
    seconds = np.arange(2 * RATE) / RATE
    drum = np.exp(-2 * seconds) * np.sin(2 * np.pi * 55 * seconds)
    assert find_levels((np.round(12 * drum / np.abs(drum).max()) / 12).astype(np.float32)) == []
    cut = (np.round(60 * clipped(tones())) / 60).astype(np.float32)
    assert all(level.exact for level in find_levels(cut))
    assert Declip().treat(waveform(cut)).repairs
