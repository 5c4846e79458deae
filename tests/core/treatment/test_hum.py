import numpy as np
import pytest
from sounds_to_treat import RATE, drums, plucked, square_waves, waveform

from audiobuff_core.degradation.faults import hum
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.treatment.hum import Dehum

STEADY = {
    "mains_hz": 50, "offset_share": 0.001, "drift_share": 0.0, "drift_hz": 0.1, "num_harmonics": 8, "level_dbfs": -26.0,
}  # fmt: skip


def hummed(clean, **changed):
    return hum.apply(clean[None], RATE, STEADY | changed, np.random.default_rng(7))[0]


@pytest.mark.parametrize(
    "fault",
    [{}, {"mains_hz": 60}, {"drift_share": 0.002, "drift_hz": 0.2}, {"drift_share": 0.001, "level_dbfs": -40.0}],
    ids=["50 Hz", "60 Hz", "drifting", "faint and drifting"],
)
def test_hum_is_taken_out(fault):
    clean = plucked()
    damaged = hummed(clean, **fault)
    treated = Dehum().treat(waveform(damaged))
    assert si_sdr_db(clean, treated.waveform.samples[0].astype(np.float64)) > si_sdr_db(clean, damaged) + 12.0
    (repair,) = treated.repairs
    assert (repair.kind, repair.start_seconds, repair.channels) == ("hum", 0.0, (0,))
    assert repair.end_seconds == pytest.approx(6.0)
    hum_db = 10 * np.log10(np.mean(np.square(damaged - clean)))
    assert repair.size_db == pytest.approx(hum_db, abs=0.5)
    assert 0.5 < repair.confidence <= 1.0


def speech_without_pauses(num_seconds=30, seed=5):
    """A voice of 90 to 160 Hz that never rests: nearly all the time a hum's harmonics lie under its own."""
    generator = np.random.default_rng(seed)
    seconds, knots = np.arange(num_seconds * RATE) / RATE, np.arange(6 * num_seconds) / 6
    phase = 2 * np.pi * np.cumsum(np.interp(seconds, knots, generator.uniform(90.0, 160.0, len(knots)))) / RATE
    loudness = np.interp(seconds, knots, generator.uniform(0.1, 1.0, len(knots)))
    return 0.25 * loudness * sum(np.sin(order * phase) / order for order in range(1, 20))


@pytest.mark.parametrize(("ceiling", "gain_db"), [(None, 12.0), (0.3, 3.0)], ids=["whole", "clipped"])
def test_steady_hum_is_found_under_speech_without_pauses_clipped_or_not(ceiling, gain_db):
    clean = speech_without_pauses()
    damaged = hummed(clean, offset_share=0.0, num_harmonics=5, level_dbfs=-38.0)
    damaged = damaged if ceiling is None else np.clip(damaged, -ceiling, ceiling)
    treated = Dehum().treat(waveform(damaged))
    (repair,) = treated.repairs
    assert repair.end_seconds == pytest.approx(30.0)
    restored = treated.waveform.samples[0].astype(np.float64)
    assert si_sdr_db(clean, restored) > si_sdr_db(clean, damaged) + gain_db


def test_speech_without_pauses_and_without_hum_is_left_alone():
    for seed in range(3):
        given = waveform(speech_without_pauses(seed=seed))
        assert Dehum().treat(given).waveform is given


@pytest.mark.parametrize("sound", [plucked, square_waves, drums])
def test_music_without_hum_comes_back_as_the_same_object(sound):
    given = waveform(sound())
    treated = Dehum().treat(given)
    assert treated.waveform is given
    assert treated.repairs == ()


def test_tone_at_the_mains_frequency_that_pauses_is_music():
    seconds = np.arange(6 * RATE) / RATE
    tone = sum(0.1 / k * np.sin(2 * np.pi * 50.0 * k * seconds) for k in range(1, 9))
    tone[(seconds % 2.0) > 1.2] = 0.0
    given = waveform(tone + plucked())
    assert Dehum().treat(given).waveform is given


@pytest.mark.parametrize("hertz", [49.0, 51.9, 58.3, 61.7])
def test_a_low_note_that_is_held_is_music(hertz):
    tone = 0.1 * np.sin(2 * np.pi * hertz * np.arange(6 * RATE) / RATE)
    given = waveform(plucked() + tone + 1e-3 * np.random.default_rng(1).standard_normal(6 * RATE))
    assert Dehum().treat(given).waveform is given


def test_only_the_channel_that_hums_is_changed():
    left, right = plucked(), plucked(seed=4)
    treated = Dehum().treat(waveform(left, hummed(right)))
    assert np.array_equal(treated.waveform.samples[0], left.astype(np.float32))
    assert {repair.channels for repair in treated.repairs} == {(1,)}
    assert si_sdr_db(right, treated.waveform.samples[1].astype(np.float64)) > 20.0


def test_hum_of_one_channel_is_found_in_the_other_where_it_could_not_be_by_itself():
    clean = np.stack([plucked(), speech_without_pauses(6)])
    damaged = hum.apply(clean, RATE, STEADY | {"level_dbfs": -42.0}, np.random.default_rng(7))
    assert Dehum().treat(waveform(damaged[1])).repairs == ()
    treated = Dehum().treat(waveform(*damaged))
    assert [repair.channels for repair in treated.repairs] == [(0,), (1,)]
    assert si_sdr_db(clean[1], treated.waveform.samples[1].astype(np.float64)) > si_sdr_db(clean[1], damaged[1]) + 6.0


@pytest.mark.parametrize("num_harmonics", [1, 2])
def test_few_harmonics_are_enough_where_they_are_evident_and_long(num_harmonics):
    clean = plucked() + 1e-3 * np.random.default_rng(1).standard_normal(6 * RATE)
    damaged = hummed(clean, num_harmonics=num_harmonics, level_dbfs=-34.0)
    treated = Dehum().treat(waveform(damaged)).waveform.samples[0].astype(np.float64)
    assert si_sdr_db(clean, treated) > si_sdr_db(clean, damaged) + 20.0
    short = waveform(damaged[: 4 * RATE])
    assert Dehum().treat(short).waveform is short


def test_hum_of_a_long_recording_is_followed_over_blocks_without_a_seam():
    clean = np.tile(plucked(10.0), 7)
    damaged = hummed(clean, drift_share=0.0015, drift_hz=0.03)
    treated = Dehum().treat(waveform(damaged)).waveform.samples[0]
    left = np.square(treated - clean).reshape(-1, RATE).mean(axis=1)
    assert 10 * np.log10(left.max() / np.mean(np.square(damaged - clean))) < -12.0


@pytest.mark.parametrize("rate", [8000, 96_000])
def test_any_rate(rate):
    clean = plucked(3.0, rate=rate)
    damaged = hum.apply(clean[None], rate, STEADY, np.random.default_rng(7))[0]
    treated = Dehum().treat(waveform(damaged, rate=rate))
    assert si_sdr_db(clean, treated.waveform.samples[0].astype(np.float64)) > si_sdr_db(clean, damaged) + 10.0


@pytest.mark.parametrize("num_samples", [1, 100, RATE])
def test_too_short_to_tell(num_samples):
    given = waveform(np.full(num_samples, 0.1))
    assert Dehum().treat(given).waveform is given
