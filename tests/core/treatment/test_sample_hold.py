import numpy as np
import pytest
from sounds_to_treat import RATE, drums, plucked, square_waves, tones, waveform

from audiobuff_core.degradation.faults import rate_crush
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.treatment import sample_hold
from audiobuff_core.treatment.sample_hold import Unhold, held_instants


def crushed(clean, rate_hz):
    """Samples of `clean` at whole places, each held around its own."""
    parameters = {"rate_hz": int(rate_hz), "output": "hold"}
    return rate_crush.apply(clean[None], RATE, parameters, np.random.default_rng(0))[0]


def repeated(clean, rate_hz):
    """A recording at the lower rate, each of its samples repeated."""
    places = np.arange(round(len(clean) * rate_hz / RATE)) * RATE / rate_hz
    low = np.interp(places, np.arange(len(clean)), clean)
    return low[np.minimum(np.round(np.arange(len(clean)) * rate_hz / RATE).astype(int), len(low) - 1)]


@pytest.mark.parametrize("rate_hz", [4000, 7350, 10_000, 16_789])
def test_the_instants_are_those_that_were_held(rate_hz):
    instants, share = held_instants(crushed(plucked(), rate_hz).astype(np.float32))
    assert np.diff(instants) == pytest.approx(RATE / rate_hz, rel=1e-4)
    off = instants * rate_hz / RATE
    assert np.abs(off - np.round(off)).max() <= 0.6 * rate_hz / RATE
    assert share > 0.99


@pytest.mark.parametrize("held", [crushed, repeated])
@pytest.mark.parametrize("rate_hz", [5512.5, 7350, 9000, 15_000])
def test_images_go(held, rate_hz, monkeypatch):
    clean = tones()
    damaged = held(clean, rate_hz)
    given = waveform(damaged)
    treated = Unhold().treat(given)
    (repair,) = treated.repairs
    assert (repair.kind, repair.channels) == ("sample_hold", (0,))
    restored = treated.waveform.samples[0].astype(np.float64)
    assert si_sdr_db(clean, restored) > si_sdr_db(clean, damaged) + 6.0
    monkeypatch.setattr(sample_hold, "BLOCK", 1000)
    assert Unhold().treat(given).waveform.samples[0] == pytest.approx(restored, abs=1e-5)


def test_sixteen_bits_and_one_channel_of_two():
    clean = plucked()
    given = waveform(clean, np.round(crushed(clean, 8000) * 2**15) / 2**15)
    treated = Unhold().treat(given)
    assert [repair.channels for repair in treated.repairs] == [(1,)]
    assert np.array_equal(treated.waveform.samples[0], given.samples[0])


@pytest.mark.parametrize(
    "sound",
    [
        plucked,
        drums,
        square_waves,
        lambda: np.round(plucked() * 15) / 15,
        lambda: np.round(np.sin(2 * np.pi * 0.3 * np.arange(RATE)) * 2**23) / 2**23,
        lambda: np.zeros(RATE),
    ],
    ids=["strings", "drums", "chip", "few bits", "equal neighbours", "silence"],
)
def test_what_is_not_held_at_a_steady_rate_is_left_alone(sound):
    given = waveform(sound())
    assert Unhold().treat(given).waveform is given
