"""Sounds that a fault adds are measured to be what its row says."""

import json

import numpy as np
import pytest
import soundfile
from scipy.signal import hilbert
from tones import RATE, RATES, ratio_db, spectrum_of, tone, white

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.degradation.faults import crackle, dc_offset, environment, rumble, wind
from audiobuff_core.errors import AudioNotFound, DataMissing

WIND = {"snr_db": 3.0, "corner_hz": 150.0, "gusts_hz": 0.7, "calm_db": -25.0, "duck_db": 0.0}


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("snr_db", [-10.0, 15.0])
def test_added_sounds_have_their_ratio(sample_rate, channels, snr_db, generator):
    clean = white(channels, 1.0, sample_rate)
    for fault, parameters in (
        (wind, {**WIND, "snr_db": snr_db}),
        (rumble, {"center_hz": 40.0, "width_hz": 10.0, "snr_db": snr_db}),
        (crackle, {"rate_hz": 100.0, "hiss_share": 0.5, "snr_db": snr_db}),
    ):
        added = fault.apply(clean, sample_rate, parameters, generator) - clean
        assert ratio_db(clean, added) == pytest.approx(snr_db, abs=0.1)


def test_wind_is_low_comes_in_gusts_and_ducks_the_music(generator):
    silent_music = white(seconds=20.0) * 1e-3
    added = wind.apply(silent_music, RATE, WIND | {"snr_db": -60.0}, generator) - silent_music
    power, hz = spectrum_of(added, RATE)
    assert power[hz < 600].sum() > 0.95 * power.sum()
    seconds = (added[0].reshape(-1, RATE // 10) ** 2).mean(axis=1)
    assert 10 * np.log10(np.quantile(seconds, 0.95) / np.quantile(seconds, 0.05)) > 10
    high = tone(5000.0, seconds=20.0)
    ducked = wind.apply(high, RATE, WIND | {"snr_db": 60.0, "duck_db": 12.0}, generator)
    heights_db = 20 * np.log10(np.abs(hilbert(ducked[0]))[RATE // 2 : -RATE // 2] / 0.5)
    assert heights_db.max() == pytest.approx(0.0, abs=1.5)
    assert heights_db.min() == pytest.approx(-12.0, abs=1.5)


def test_rumble_is_where_its_row_says(generator):
    clean = white(channels=2, seconds=10.0)
    parameters = {"center_hz": 35.0, "width_hz": 8.0, "snr_db": 0.0}
    added = rumble.apply(clean, RATE, parameters, generator) - clean
    power, hz = spectrum_of(added, RATE)
    assert (power * hz).sum() / power.sum() == pytest.approx(35.0, abs=1.0)
    assert power[(hz > 25) & (hz < 45)].sum() > 0.99 * power.sum()
    np.testing.assert_allclose(added[0], added[1], atol=1e-12)


def test_crackle_has_its_ticks_and_its_share_of_hiss(generator):
    clean = white(channels=2, seconds=20.0)
    for share in (0.0, 0.8):
        parameters = {"rate_hz": 20.0, "hiss_share": share, "snr_db": 10.0}
        added = crackle.apply(clean, RATE, parameters, generator) - clean
        quiet = np.median(np.abs(added))
        if share == 0.0:
            touched = np.flatnonzero(np.abs(added).max(axis=0) > 1e-12)
            ticks = 1 + (np.diff(touched) > RATE * 0.0006).sum()
            assert ticks == pytest.approx(400, abs=4 * 20)
        else:  # the median of a normal law is 0.6745 of its deviation
            assert (quiet / 0.6745) ** 2 / np.mean(added**2) == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("offset", [-0.05, 0.001])
def test_the_offset_is_added_exactly(sample_rate, offset, generator):
    clean = white(2, 0.1, sample_rate)
    damaged = dc_offset.apply(clean, sample_rate, {"offset": offset}, generator)
    np.testing.assert_allclose(damaged.mean(axis=1) - clean.mean(axis=1), offset)


@pytest.fixture
def noises(tmp_path):
    for number, hz in enumerate((300, 700, 1900)):
        write_audio(tmp_path / f"noise {number}.wav", Waveform(tone(hz, 8_000, 0.3).astype(np.float32), 8_000))
    return tmp_path


@pytest.mark.parametrize("voices", [1, 3])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_users_noise_is_heard_at_its_ratio_as_long_as_the_music(noises, voices, channels, generator):
    clean = white(channels, 2.0)
    files = json.dumps(environment.choose_files(str(noises), voices, 1, "hash"))
    parameters = {"folder": str(noises), "files": files, "voices": voices, "start_share": 0.4, "snr_db": 5.0}
    added = environment.apply(clean, RATE, parameters, generator) - clean
    assert ratio_db(clean, added) == pytest.approx(5.0, abs=0.1)
    power, hz = spectrum_of(added, RATE)
    heard = [one for one in (300, 700, 1900) if power[np.abs(hz - one) < 20].sum() > 0.1 * power.sum()]
    assert len(heard) == voices
    assert not environment.apply(np.zeros((1, 100)), RATE, parameters, generator).any()


def test_a_new_noise_changes_only_draws_that_it_wins_and_a_changed_one_is_refused(noises, generator):
    drawn = [environment.choose_files(str(noises), 1, key) for key in range(40)]
    write_audio(noises / "more.flac", Waveform(white(1, 0.1).astype(np.float32), RATE))
    again = [environment.choose_files(str(noises), 1, key) for key in range(40)]
    changed = [after for before, after in zip(drawn, again, strict=True) if before != after]
    assert 0 < len(changed) < 25
    assert all(name == "more.flac" for ((name, _),) in changed)
    parameters = {"folder": str(noises), "files": json.dumps(changed[0]), "start_share": 0.0, "snr_db": 5.0}
    soundfile.write(noises / "more.flac", white(1, 0.2)[0], RATE)
    with pytest.raises(DataMissing, match=r"more\.flac"):
        environment.apply(white(), RATE, parameters, generator)
    with pytest.raises(AudioNotFound, match="No recordings"):
        environment.choose_files(str(noises / "none"), 1, 1)


def test_hidden_files_and_folders_called_like_sounds_are_no_noise(noises):
    (noises / "._noise 0.wav").write_bytes(b"what another system leaves")
    (noises / "folder.wav").mkdir()
    chosen = environment.choose_files(str(noises), 16, 1)
    assert sorted(name for name, _ in chosen) == ["noise 0.wav", "noise 1.wav", "noise 2.wav"]


@pytest.mark.parametrize("start_share", [0.0, 0.3, 0.9, 1.0])
def test_a_users_noise_begins_where_its_row_says_and_is_repeated(tmp_path, start_share, generator):
    sound = np.random.default_rng(2).standard_normal((1, 6000)) * 0.1
    write_audio(tmp_path / "noise.wav", Waveform(sound.astype(np.float32), RATE))
    parameters = {"folder": str(tmp_path), "voices": 1, "start_share": start_share, "snr_db": 0.0}
    parameters["files"] = json.dumps(environment.choose_files(str(tmp_path), 1))
    for num_samples in (4000, 9000):
        clean = white(1, num_samples / RATE)
        added = environment.apply(clean, RATE, parameters, generator) - clean
        places = (int(start_share * 6000) + np.arange(clean.shape[1])) % 6000
        assert np.corrcoef(added[0], sound[0, places])[0, 1] > 0.9999
