import numpy as np
import pytest
from sounds_to_treat import drums, plucked

from audiobuff_core.degradation.faults import wind
from audiobuff_core.treatment.low_noise import ANALYSIS_RATE, FRAME, HOP
from audiobuff_core.treatment.low_noise_judge import EVIDENCE, certainty_of_low_noise, evidence_of
from audiobuff_core.treatment.noise_floor import power_of
from audiobuff_core.treatment.short_time import ShortTime

GUSTS = {"corner_hz": 200.0, "gusts_hz": 0.6, "calm_db": -12.0, "duck_db": 0.0, "snr_db": 0.0}


def power(samples):
    return power_of(ShortTime(FRAME, HOP).spectrum(samples.astype(np.float32)))


def gusts(clean, seed=0):
    return wind.apply(clean[None], ANALYSIS_RATE, GUSTS, np.random.default_rng(seed))[0] - clean


def told(clean, noise, presence=0.9):
    """Evidence by a mask that knows both."""
    alone = power(noise), power(clean)
    share = alone[0] / (alone[0] + alone[1] + 1e-12)
    return dict(zip(EVIDENCE, evidence_of(power(clean + noise), share.astype(np.float32), presence), strict=True))


@pytest.fixture(scope="module")
def music():
    return plucked(8.0, rate=ANALYSIS_RATE)


def test_noise_varies_as_chance_has_it_and_notes_do_not(music):
    noise, notes = told(music, gusts(music)), told(1e-3 * gusts(music), music)
    assert noise["deviation_db"] == pytest.approx(5.57, abs=0.6)  # of the logarithm of an exponential law
    assert noise["skewness"] == pytest.approx(-1.14, abs=0.3)
    assert abs(noise["persistence"]) < 0.1
    assert abs(noise["coherence"]) < 0.1
    assert notes["deviation_db"] > 1.1 * noise["deviation_db"]
    assert notes["prominence_db"] > 2 * noise["prominence_db"]
    assert notes["off_curve_db"] > 2 * noise["off_curve_db"]


def test_levels_are_told_in_decibels(music):
    noise = gusts(music)
    soft, loud = (told(music, gain * noise) for gain in (0.3, 1.0))
    ratio = 10 * np.log10(np.square(noise).sum() / np.square(music).sum())
    assert loud["noise_ratio_db"] == pytest.approx(ratio, abs=2.0)
    assert soft["noise_ratio_db"] == pytest.approx(ratio + 20 * np.log10(0.3), abs=2.5)
    assert soft["noise_share_db"] < loud["noise_share_db"] < 0
    assert soft["noise_bins"] < loud["noise_bins"]
    assert loud["presence"] == pytest.approx(np.log(9.0))


def test_wind_over_music_is_noise_and_drums_are_not(music):
    beats = drums(8.0, rate=ANALYSIS_RATE)
    windy = evidence_of(*_seen(music, gusts(music)))
    beaten = evidence_of(*_seen(music, beats))
    assert certainty_of_low_noise(windy) > 0.9
    assert certainty_of_low_noise(beaten) < 0.3


def _seen(clean, noise):
    alone = power(noise), power(clean)
    return power(clean + noise), (alone[0] / (alone[0] + alone[1] + 1e-12)).astype(np.float32), 0.9


@pytest.mark.parametrize("level", [0.0, 1e-9, 1.0])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("presence", [0.0, 1.0])
def test_anything_has_finite_evidence(level, share, presence):
    heard = level * np.random.default_rng(0).exponential(size=(40, FRAME // 2 + 1)).astype(np.float32)
    evidence = evidence_of(heard, np.full_like(heard, share), presence)
    assert evidence.shape == (len(EVIDENCE),)
    assert np.isfinite(evidence).all()
    assert 0.0 <= certainty_of_low_noise(evidence) <= 1.0
