from pathlib import Path

import numpy as np
import pytest
from sounds_to_treat import RATE, drums, plucked, square_waves, tones, waveform

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.audio.read import read_audio
from audiobuff_core.degradation.faults.added import shaped_noise
from audiobuff_core.evaluation.metrics.lsd import lsd_db
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.treatment import noise
from audiobuff_core.treatment.chain import treat
from audiobuff_core.treatment.noise import Denoise
from audiobuff_core.treatment.noise_floor import EVIDENCE, floor_of, transform_of
from audiobuff_core.treatment.short_time import ShortTime


def hissing(clean, snr_db, *, rate=RATE, seed=4, low_hz=0.0, high_hz=1e6):
    """`clean` [samples] with white noise between two frequencies."""
    generator = np.random.default_rng(seed)
    hiss = shaped_noise((1, len(clean)), rate, lambda hz: ((hz >= low_hz) & (hz < high_hz)).astype(float), generator)[0]
    return clean + hiss * np.sqrt(np.mean(clean**2) / np.mean(hiss**2)) * 10 ** (-snr_db / 20)


@pytest.mark.parametrize("rate", [16_000, RATE, 48_000, 96_000])
def test_hiss_is_taken_away(rate):
    clean = plucked(rate=rate)
    damaged = hissing(clean, 10.0, rate=rate)
    treated = Denoise().treat(waveform(damaged, rate=rate))
    quiet = treated.waveform.samples[0].astype(np.float64)
    assert si_sdr_db(clean, quiet) > si_sdr_db(clean, damaged) + 3.0
    assert lsd_db(clean, quiet) < 0.75 * lsd_db(clean, damaged)
    (repair,) = treated.repairs
    assert (repair.kind, repair.start_seconds, repair.end_seconds) == ("noise", 0.0, len(clean) / rate)
    assert repair.size_db == pytest.approx(10 * np.log10(np.mean((quiet - damaged) ** 2)), abs=0.1)


@pytest.mark.parametrize("sound", [plucked, tones, square_waves, drums])
def test_what_is_no_noise_comes_back_as_the_same_object(sound):
    given = waveform(sound())
    assert Denoise().treat(given).waveform is given


def test_tones_that_never_change_and_a_recording_of_nothing_but_noise_stay():
    seconds = np.arange(3 * 44_100) / 44_100
    chord = sum(np.sin(2 * np.pi * hertz * seconds) for hertz in (220.0, 277.2, 329.6, 523.3)) / 4
    noise_alone = 0.1 * np.random.default_rng(1).standard_normal(len(seconds))
    for sound in (chord, np.clip(chord, -0.6, 0.6), noise_alone):
        given = waveform(sound, rate=44_100)
        assert Denoise().treat(given).waveform is given


def test_faint_noise_stays():
    given = waveform(hissing(plucked(), 35.0))
    assert Denoise().treat(given).waveform is given


def test_a_sound_like_noise_that_stops_while_others_go_on_stays(monkeypatch):
    """Steam is let off for the first 70 %; the floor of it is none of the recording."""
    monkeypatch.setattr(noise, "certainty_of_noise", lambda floor: np.ones(len(floor.edges) - 1))
    clean = tones()
    always = hissing(clean, 10.0, low_hz=2000.0)
    stopping = np.where(np.arange(len(clean)) < 0.7 * len(clean), always, clean)
    high = int(np.searchsorted(floor_of(always, RATE).edges, 4000.0 * transform_of(RATE).length / RATE))
    assert floor_of(always, RATE).absence[high:].max() == 0.0
    assert floor_of(stopping, RATE).absence[high:].min() > noise.MOST_ABSENT
    treated = Denoise().treat(waveform(stopping)).waveform.samples[0].astype(np.float64)
    change, steam = (np.abs(np.fft.rfft(one)) ** 2 for one in (treated - stopping, always - clean))
    above = np.fft.rfftfreq(len(clean), 1 / RATE) > 4000.0
    assert change[above].sum() < 1e-3 * steam[above].sum()


def test_only_the_channel_and_the_band_of_the_noise_are_touched():
    clean = plucked()
    damaged = hissing(clean, 10.0, low_hz=4000.0, high_hz=9000.0)
    given = waveform(clean, damaged)
    treated = Denoise().treat(given)
    assert {repair.channels for repair in treated.repairs} == {(1,)}
    assert np.array_equal(treated.waveform.samples[0], given.samples[0])
    change = np.abs(np.fft.rfft(treated.waveform.samples[1].astype(np.float64) - damaged)) ** 2
    hertz = np.fft.rfftfreq(len(damaged), 1 / RATE)
    assert change[hertz < 200].sum() < 1e-4 * change.sum()


def test_noise_goes_on_under_what_is_louder():
    clean = plucked()
    steady = clean + 0.05 * np.sin(2 * np.pi * 3000.0 * np.arange(len(clean)) / RATE)
    damaged = hissing(steady, 10.0)
    floor = floor_of(damaged.astype(np.float32), RATE)
    band = int(np.searchsorted(floor.edges, 3000.0 * transform_of(RATE).length / RATE, side="right")) - 1
    noisy = np.ones(len(floor.edges) - 1, dtype=bool)
    noisy[band] = False
    power, _ = noise._continued(floor, noisy)
    place = slice(floor.edges[band], floor.edges[band + 1])
    assert power[place].max() == pytest.approx(float(np.median(power[floor.edges[band + 1] :])), rel=0.5)
    assert power[place].max() < 0.05 * floor.power[place].max()
    floor.power[place] *= 1e-6
    assert not noise._continued(floor, noisy)[1][place].any()


@pytest.mark.parametrize("num_samples", [1, 2, 1000, 12_000])
def test_what_is_too_short_to_have_a_floor_stays(num_samples):
    given = waveform(0.1 * np.random.default_rng(0).standard_normal(num_samples))
    assert Denoise().treat(given).waveform is given


def test_digital_silence_in_between_is_no_floor():
    damaged = hissing(plucked(), 10.0)
    damaged[40_000:60_000] = 0.0
    treated = Denoise().treat(waveform(damaged)).waveform.samples[0]
    assert si_sdr_db(plucked()[60_000:], treated[60_000:].astype(np.float64)) > 13.0
    assert not treated[42_000:58_000].any()


def test_blocks_are_not_heard(monkeypatch):
    damaged = waveform(hissing(plucked(), 10.0))
    whole = Denoise().treat(damaged).waveform.samples
    monkeypatch.setattr(noise, "BLOCK_FRAMES", 60)
    assert np.allclose(Denoise().treat(damaged).waveform.samples, whole, rtol=0, atol=1e-6)


def test_long_recordings_are_judged_by_excerpts(monkeypatch):
    asked = []
    real = ShortTime.spectrum
    monkeypatch.setattr(ShortTime, "spectrum", lambda self, samples: asked.append(len(samples)) or real(self, samples))
    floor = floor_of(0.1 * np.random.default_rng(0).standard_normal(90 * RATE).astype(np.float32), RATE)
    assert asked == [6 * RATE] * 4
    assert floor.power.std() < 0.1 * floor.power.mean()
    evidence = dict(zip(EVIDENCE, floor.evidence.T, strict=True))
    assert evidence["core"].min() > 0.8
    assert evidence["deviation"] == pytest.approx(1.0, abs=0.15)
    assert np.abs(evidence["persistence"]).max() < 0.1


def test_the_chain_takes_it_away_once_all_else_is_done():
    seconds = np.arange(6 * RATE) / RATE
    hum = sum(0.03 / k * np.sin(2 * np.pi * 50.0 * k * seconds + k) for k in range(1, 8))
    clean = plucked()
    damaged = waveform(hissing(clean, 15.0) + hum)
    treated = treat(damaged)
    assert {repair.kind for repair in treated.repairs} == {"hum", "noise"}
    quiet = treated.waveform.samples[0].astype(np.float64)
    assert si_sdr_db(clean, quiet) > si_sdr_db(clean, hissing(clean, 15.0)) + 1.0


@pytest.mark.slow
def test_no_bundled_recording_is_touched():
    paths = sorted(Path(corpus_folder()).glob("*.flac"))
    touched = [path.name for path in paths if Denoise().treat(read_audio(path)).repairs]
    assert touched == []
