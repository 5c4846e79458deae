import numpy as np
import pytest
from sounds_to_treat import drums, plucked

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.faults import rumble
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.treatment.rumble import Derumble

RATE = 8000


def rumbling(clean, center_hz=32.0, seed=7):
    parameters = {"center_hz": center_hz, "width_hz": 12.0, "snr_db": 6.0}
    return rumble.apply(clean[None], RATE, parameters, np.random.default_rng(seed))[0]


def waveform(*channels):
    return Waveform(np.stack(channels).astype(np.float32), RATE)


@pytest.mark.parametrize("seconds", [8.0, 30.0])
def test_rumble_is_taken_out(seconds):
    clean = plucked(seconds, rate=RATE)
    damaged = rumbling(clean)
    treated = Derumble().treat(waveform(damaged))
    (repair,) = treated.repairs
    assert (repair.kind, repair.channels, repair.start_seconds) == ("rumble", (0,), 0.0)
    assert repair.size_db == pytest.approx(10 * np.log10(np.mean(np.square(damaged - clean))), abs=1.0)
    assert si_sdr_db(clean, treated.waveform.samples[0].astype(np.float64)) > si_sdr_db(clean, damaged) + 12.0


def test_only_the_channel_that_rumbles_is_changed():
    clean = plucked(8.0, rate=RATE)
    given = waveform(clean, rumbling(clean))
    treated = Derumble().treat(given).waveform.samples
    assert np.array_equal(treated[0], given.samples[0])
    assert not np.array_equal(treated[1], given.samples[1])


def _drone():
    return 0.2 * np.sin(2 * np.pi * 45.0 * np.arange(8 * RATE) / RATE)


def _rumble_that_pauses():
    clean = plucked(8.0, rate=RATE)
    noise = rumbling(clean) - clean
    return noise * (np.arange(len(noise)) / RATE % 2.0 < 1.0)


@pytest.mark.parametrize(
    "low",
    [lambda: 0.0, lambda: drums(8.0, rate=RATE), _drone, _rumble_that_pauses],
    ids=["nothing", "kicks", "drone", "pauses"],
)
def test_what_is_no_steady_noise_below_the_music_is_left_alone(low):
    given = waveform(plucked(8.0, rate=RATE) + low())
    assert Derumble().treat(given).waveform is given
