"""Crackle too dense for proof and steady noise are taken out where the network hears them too, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.commands.chosen_model import chosen_model
from audiobuff_core.degradation.faults import crackle, wind
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.inference import agreement
from audiobuff_core.inference.agreement import (
    declick_by_agreement,
    denoise_by_agreement,
    denoise_low_by_agreement,
    treat_with,
)
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.treatment import noise, noise_mask
from audiobuff_core.treatment.chain import treat
from audiobuff_core.treatment.clicks import POSSIBLE, find_clicks
from audiobuff_core.treatment.noise import Denoise

RATE = 22_050
FAULT = {"snr_db": 15.0, "rate_hz": 100.0, "hiss_share": 0.2}


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer.load(chosen_model(None, lambda: None))


@pytest.fixture(scope="module")
def chord():
    """Four tones over faint noise, shape [samples]."""
    time = np.arange(4 * RATE) / RATE
    sound = 0.2 * sum(np.sin(2 * np.pi * hertz * time + hertz) for hertz in (131.0, 211.0, 317.0, 499.0))
    return sound + 1e-3 * np.random.default_rng(9).standard_normal(len(sound))


@pytest.fixture(scope="module")
def crackling(chord):
    damaged = crackle.apply(chord[None], RATE, FAULT, np.random.default_rng(8))
    return Waveform(np.concatenate([chord[None], damaged]).astype(np.float32), RATE)


def test_dense_crackle_is_taken_out_of_the_channel_that_has_it(restorer, crackling, chord):
    treated = treat_with(restorer, crackling)
    before, after = (si_sdr_db(chord, one.samples[1].astype(np.float64)) for one in (crackling, treated.waveform))
    assert after > before + 4.0
    assert np.array_equal(treated.waveform.samples[0], crackling.samples[0])
    assert len(treated.repairs) > 100
    assert {(repair.kind, repair.channels) for repair in treated.repairs} == {("clicks", (1,))}
    assert list(treated.repairs) == sorted(treated.repairs, key=lambda repair: repair.start_seconds)


def test_long_recordings_are_searched_first_in_part(restorer, crackling, monkeypatch):
    asked = []
    monkeypatch.setattr(restorer, "restore", lambda *_, **__: pytest.fail("the network was asked for nothing"))
    monkeypatch.setattr(agreement, "find_clicks", lambda *_, **how: asked.append(how["every"]) or [])
    long = Waveform(np.tile(crackling.samples, 3), RATE)
    assert declick_by_agreement(restorer, long).waveform is long
    assert asked == [5, 5]


def test_it_is_left_out_with_its_treatment_and_with_the_network(restorer, crackling):
    assert treat_with(restorer, crackling, without=("clicks",)).waveform is crackling
    assert treat_with(None, crackling).repairs == treat(crackling).repairs


def test_edges_that_prediction_takes_for_clicks_stay(restorer):
    notes = 110.0 * 2 ** (np.random.default_rng(2).integers(0, 24, 32) / 12)
    phase = np.cumsum(np.repeat(notes, RATE // 8)) / RATE % 1.0
    square = Waveform(np.where(phase < 0.25, 0.3, -0.3).astype(np.float32)[None], RATE)
    assert len(find_clicks(square.samples[0], RATE, POSSIBLE)) > 10
    assert declick_by_agreement(restorer, square).waveform is square


def test_hiss_is_taken_away_where_both_hear_it(restorer, chord, monkeypatch):
    hiss = 0.05 * np.random.default_rng(1).standard_normal(len(chord))
    damaged = Waveform(np.stack([chord, chord + hiss]).astype(np.float32), RATE)
    treated = treat_with(restorer, damaged)
    assert {(repair.kind, repair.channels) for repair in treated.repairs} == {("noise", (1,))}
    before, after = (si_sdr_db(chord, one.samples[1].astype(np.float64)) for one in (damaged, treated.waveform))
    assert after > before + 4.0
    assert treat_with(restorer, damaged, without=(Denoise.name,)).waveform is damaged
    monkeypatch.delitem(
        restorer.meta["inference"], "denoised_first"
    )  # as of a network that learned from noise as it is
    assert treat_with(restorer, damaged).waveform is damaged


def test_in_haste_noise_is_taken_away_by_its_filter_alone(restorer, chord, monkeypatch):
    hiss = 0.05 * np.random.default_rng(1).standard_normal(len(chord))
    damaged = Waveform((chord + hiss)[None].astype(np.float32), RATE)
    slow = treat_with(restorer, damaged)

    def refused(*_arguments, **_more):
        raise AssertionError("the network that corrects the filter was asked")

    monkeypatch.setattr(noise_mask, "kept_of", refused)
    with pytest.raises(AssertionError, match="was asked"):
        treat_with(restorer, damaged)
    hasty = treat_with(restorer, damaged, in_haste=True)
    assert [repair.kind for repair in hasty.repairs] == [repair.kind for repair in slow.repairs] == ["noise"]
    assert not np.array_equal(hasty.waveform.samples, slow.waveform.samples)
    monkeypatch.setattr(noise, "certainty_of_noise", lambda floor: np.ones(len(floor.edges) - 1))
    assert treat_with(None, damaged, in_haste=True).repairs


@pytest.mark.parametrize(("certainty", "is_taken"), [(0.55, False), (0.65, True)])
def test_the_judge_must_find_noise_likely_somewhere(restorer, chord, monkeypatch, certainty, is_taken):
    monkeypatch.setattr(noise, "certainty_of_noise", lambda floor: np.full(len(floor.edges) - 1, certainty))
    hissing = chord + 0.05 * np.random.default_rng(1).standard_normal(len(chord))
    assert bool(denoise_by_agreement(restorer, Waveform(hissing[None].astype(np.float32), RATE)).repairs) == is_taken


def test_steam_stays_although_it_is_steady(restorer):
    steam = read_audio(Path(corpus_folder()) / "ambi_sauna.flac")
    assert treat_with(restorer, steam).waveform is steam


def test_the_network_is_not_asked_about_faint_noise_and_hears_excerpts_of_the_rest(restorer, chord, monkeypatch):
    asked = []

    def restore(samples, sample_rate, **_):
        asked.append(len(samples) / sample_rate)
        return samples

    monkeypatch.setattr(restorer, "restore", restore)
    with monkeypatch.context() as faint:
        faint.setattr(agreement, "is_worth_it", lambda *_: False)
        denoise_by_agreement(restorer, Waveform(chord[None].astype(np.float32), RATE))
    assert asked == []
    long = np.tile(chord, 17)
    hissing = (long + 0.05 * np.random.default_rng(1).standard_normal(len(long))).astype(np.float32)
    assert denoise_by_agreement(restorer, Waveform(hissing[None], RATE)).repairs == ()
    assert asked == [agreement.HEARD_SECONDS] * agreement.HEARD_EXCERPTS


@pytest.fixture(scope="module")
def guitar():
    """Six seconds, shape [samples]."""
    clip = resample(read_audio(Path(corpus_folder()) / "guit_em9.flac").mono(), 2 * RATE).samples[0]
    return np.resize(clip, 12 * RATE).astype(np.float64)


@pytest.fixture(scope="module")
def windy(guitar):
    """The guitar beside itself with wind that is louder by 6 dB."""
    parameters = {"corner_hz": 120.0, "gusts_hz": 0.6, "calm_db": -20.0, "duck_db": 0.0, "snr_db": -6.0}
    damaged = wind.apply(guitar[None], 2 * RATE, parameters, np.random.default_rng(3))
    return Waveform(np.concatenate([guitar[None], damaged]).astype(np.float32), 2 * RATE)


def test_wind_is_taken_out_before_networks_that_expect_it(restorer, windy, guitar, monkeypatch):
    treated = treat_with(restorer, windy)
    assert {(repair.kind, repair.channels) for repair in treated.repairs} == {("low_noise", (1,))}
    before, after = (si_sdr_db(guitar, one.samples[1].astype(np.float64)) for one in (windy, treated.waveform))
    assert after > before + 5.0
    assert treat_with(restorer, windy, without=("low_noise",)).waveform is windy
    monkeypatch.delitem(restorer.meta["inference"], "denoised_first")
    assert treat_with(restorer, windy).waveform is windy


@pytest.mark.parametrize(("share", "is_taken"), [(0.2, False), (0.8, True), (3.0, False)])
def test_low_noise_in_doubt_stays_where_the_network_hears_something_else(restorer, windy, monkeypatch, share, is_taken):
    gusts = np.float32(share) * (windy.samples[1] - windy.samples[0])
    monkeypatch.setattr(restorer, "restore", lambda samples, _rate, **_: samples - gusts)
    assert denoise_low_by_agreement(restorer, windy).repairs  # certain
    monkeypatch.setattr("audiobuff_core.treatment.low_noise.CERTAIN", 1.0)
    assert bool(denoise_low_by_agreement(restorer, windy).repairs) == is_taken


@pytest.mark.slow
def test_no_bundled_recording_is_touched(restorer):
    touched = [
        path.name
        for path in sorted(Path(corpus_folder()).glob("*.flac"))
        if declick_by_agreement(restorer, read_audio(path)).repairs
        or denoise_by_agreement(restorer, read_audio(path)).repairs
        or denoise_low_by_agreement(restorer, read_audio(path)).repairs
    ]
    assert touched == []
