from importlib.resources import files

import numpy as np
import pytest
from sounds_to_treat import plucked, waveform

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.faults import band_limit, codec
from audiobuff_core.evaluation.metrics.lsd import lsd_db
from audiobuff_core.treatment import band_envelope, lost_band
from audiobuff_core.treatment.lost_band import FillBand

RATE, EDGE_HZ = 44_100, 3800.0


def bundled(name):
    return read_audio(str(files("audiobuff_assets") / "corpus" / f"{name}.flac")).mono()


def by_telephone(clean):
    row = {"codec": "mu_law", "generations": 1}
    samples = codec.apply(clean.samples, clean.sample_rate, row, np.random.default_rng(0))
    return Waveform(samples.astype(np.float32), clean.sample_rate)


def cut_off(clean, edge_hz=EDGE_HZ):
    row = {"bandwidth_hz": edge_hz, "family": "sinc"}
    samples = band_limit.apply(clean.samples, clean.sample_rate, row, np.random.default_rng(0))
    return Waveform(samples.astype(np.float32), clean.sample_rate)


def power(samples, sample_rate, low_hz, high_hz):
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / sample_rate)
    return spectrum[(hertz >= low_hz) & (hertz < high_hz)].sum()


@pytest.mark.parametrize("name", ["loop_mika", "drum_splash_hard"])
@pytest.mark.parametrize("damage", [by_telephone, cut_off])
def test_a_lost_band_is_filled_and_what_is_below_stays(name, damage):
    clean = bundled(name)
    damaged = damage(clean)
    treated = FillBand().treat(damaged)
    (repair,) = treated.repairs
    assert (repair.kind, repair.channels, repair.start_seconds) == ("lost_band", (0,), 0.0)
    assert 0 < repair.confidence < 1
    truth, before, after = (one.samples[0].astype(np.float64) for one in (clean, damaged, treated.waveform))
    assert lsd_db(truth, after) < lsd_db(truth, before) - 5
    added = after - before
    assert 10 * np.log10(np.square(added).sum() / np.square(before).sum()) < lost_band.MOST_DB + 0.1
    below = power(added, RATE, 0, 0.95 * EDGE_HZ)
    assert below < 1e-3 * power(added, RATE, 0, RATE)
    assert np.array_equal(FillBand().treat(damaged).waveform.samples, treated.waveform.samples)


def test_what_is_added_is_the_same_in_both_channels_and_none_in_a_full_one():
    clean = bundled("loop_mika")
    damaged = cut_off(clean).samples[0]
    given = Waveform(np.stack([damaged, damaged, clean.samples[0]]), RATE)
    treated = FillBand().treat(given)
    added = treated.waveform.samples - given.samples
    assert [repair.channels for repair in treated.repairs] == [(0,), (1,)]
    assert np.array_equal(added[0], added[1])
    assert not added[2].any()


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_other_rates(rate):
    clean = resample(bundled("loop_mika"), rate)
    damaged = cut_off(clean)
    treated = FillBand().treat(damaged)
    assert [repair.kind for repair in treated.repairs] == ["lost_band"]
    truth, before, after = (one.samples[0].astype(np.float64) for one in (clean, damaged, treated.waveform))
    assert lsd_db(truth, after) < lsd_db(truth, before) - 2
    assert power(after - before, rate, 22_100, rate) < 1e-6 * power(after - before, rate, 0, rate)


@pytest.mark.parametrize("rate", [11_025, 22_050])
def test_a_recording_made_at_a_lower_rate_is_left_alone(rate):
    clean = bundled("loop_mika")
    given = resample(resample(clean, rate), RATE)
    assert FillBand().treat(given).waveform is given


@pytest.mark.parametrize("sound", [plucked(), np.zeros(RATE), np.zeros(3)])
def test_without_an_edge_nothing_happens(sound):
    given = waveform(sound)
    assert FillBand().treat(given).waveform is given


def test_silence_between_sounds_stays_silent():
    damaged = cut_off(bundled("loop_mika")).samples[0]
    given = Waveform(np.concatenate([damaged, np.zeros(RATE, np.float32), damaged])[None], RATE)
    treated = FillBand().treat(given)
    assert treated.repairs
    quiet = slice(len(damaged) + RATE // 4, len(damaged) + RATE // 2)
    assert np.abs(treated.waveform.samples[0, quiet]).max() < 1e-6


def test_blocks_are_not_heard(monkeypatch):
    damaged = cut_off(bundled("loop_mika"))
    whole = FillBand().treat(damaged).waveform.samples
    monkeypatch.setattr(lost_band, "BLOCK_FRAMES", 8)
    monkeypatch.setattr(band_envelope, "BLOCK_FRAMES", 5)
    np.testing.assert_allclose(FillBand().treat(damaged).waveform.samples, whole, atol=1e-6)
