import numpy as np
import pytest
from sounds_to_treat import drums, plucked, square_waves

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.faults import wind
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.treatment.low_noise import ANALYSIS_RATE, DenoiseLow, without_low_noise

GUSTS = {"corner_hz": 120.0, "gusts_hz": 0.6, "calm_db": -20.0, "duck_db": 0.0, "snr_db": -6.0}


def blown(clean, rate, seed=3):
    return wind.apply(clean[None], rate, GUSTS, np.random.default_rng(seed))[0]


def waveform(*channels, rate):
    return Waveform(np.stack(channels).astype(np.float32), rate)


def gain_db(clean, damaged, treated):
    return si_sdr_db(clean, treated.astype(np.float64)) - si_sdr_db(clean, damaged)


def treated(given):
    return without_low_noise(given, lambda *_: True)


@pytest.mark.parametrize(("seconds", "rate"), [(4.0, 44_100), (8.0, 16_000), (20.0, 44_100)])
def test_wind_is_taken_out(seconds, rate):
    clean = plucked(seconds, rate=rate)
    damaged = blown(clean, rate)
    result = treated(waveform(damaged, rate=rate))
    (repair,) = result.repairs
    assert (repair.kind, repair.channels, repair.start_seconds) == ("low_noise", (0,), 0.0)
    assert repair.size_db == pytest.approx(10 * np.log10(np.mean(np.square(damaged - clean))), abs=2.0)
    assert gain_db(clean, damaged, result.waveform.samples[0]) > 5.0


def test_what_lies_above_the_analysis_is_not_touched():
    rate = 44_100
    damaged = blown(plucked(6.0, rate=rate), rate)
    change = treated(waveform(damaged, rate=rate)).waveform.samples[0] - damaged
    power = np.square(np.abs(np.fft.rfft(change * np.hanning(len(change)))))
    hertz = np.fft.rfftfreq(len(change), 1 / rate)
    assert power[hertz > 0.55 * ANALYSIS_RATE].sum() < 1e-6 * power.sum()


def test_only_the_channel_with_wind_is_changed():
    clean = plucked(8.0, rate=16_000)
    given = waveform(clean, blown(clean, 16_000), rate=16_000)
    samples = treated(given).waveform.samples
    assert np.array_equal(samples[0], given.samples[0])
    assert gain_db(clean, given.samples[1].astype(np.float64), samples[1]) > 5.0


def test_it_stops_with_the_wind():
    clean = plucked(40.0, rate=16_000)
    gusts = (blown(clean, 16_000) - clean) * (np.arange(len(clean)) < 16_000 * 12)
    samples = treated(waveform(clean + gusts, rate=16_000)).waveform.samples[0]
    calm = slice(16_000 * 24, None)
    assert gain_db(clean, clean + gusts, samples) > 5.0
    assert np.square(samples[calm] - clean[calm]).sum() < 1e-3 * np.square(clean[calm]).sum()


def _bass():
    seconds = np.arange(8 * 16_000) / 16_000
    notes = np.array([41.2, 55.0, 49.0, 36.7])[(seconds * 2).astype(int) % 4]
    return 0.3 * np.sin(2 * np.pi * np.cumsum(notes) / 16_000) * np.exp(-3 * (seconds % 0.5))


def _wind_itself():
    return blown(np.full(8 * 16_000, 1e-4), 16_000, seed=0) * 100


@pytest.mark.parametrize(
    "sound",
    [
        lambda: plucked(8.0, rate=16_000),
        lambda: drums(8.0, rate=16_000),
        lambda: square_waves(8.0, rate=16_000),
        lambda: plucked(8.0, rate=16_000) + _bass(),
        _wind_itself,
        lambda: np.zeros(8 * 16_000),
    ],
    ids=["plucked", "drums", "square waves", "bass", "wind itself", "silence"],
)
def test_what_was_recorded_is_left_alone(sound):
    given = waveform(sound(), rate=16_000)
    assert treated(given).waveform is given


def test_what_the_judge_doubts_is_left_to_a_second_witness(monkeypatch):
    clean = plucked(8.0, rate=16_000)
    given, asked = waveform(blown(clean, 16_000), rate=16_000), []
    (repair,) = DenoiseLow().treat(given).repairs
    monkeypatch.setattr("audiobuff_core.treatment.low_noise.CERTAIN", repair.confidence)
    assert DenoiseLow().treat(given).waveform is given
    assert without_low_noise(given, lambda *seen: bool(asked.append(seen))).waveform is given
    ((before, noise),) = asked
    assert np.array_equal(before, given.samples[0])
    assert gain_db(clean, before.astype(np.float64), before - noise) > 5.0
    assert treated(given).repairs == (repair,)
    monkeypatch.setattr("audiobuff_core.treatment.low_noise.LEAST_CERTAINTY", repair.confidence)
    assert treated(given).waveform is given


@pytest.mark.parametrize("num_samples", [1, 4000])
def test_too_short_to_tell(num_samples):
    given = waveform(0.1 * np.random.default_rng(0).standard_normal(num_samples), rate=16_000)
    assert treated(given).waveform is given
