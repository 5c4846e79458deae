"""Peers: each gives the right shape without delay, helps where it should, and ends in time."""

import math
import signal
from dataclasses import replace

import numpy as np
import pytest
from peer_cases import RATE, music, row_of

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.align import delay_samples
from audiobuff_core.degradation.plan import Fault
from audiobuff_core.errors import PeerTooSlow
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.evaluation.peers.catalogue import OPERATOR, PEERS
from audiobuff_core.evaluation.peers.ffmpeg import ffmpeg_filtered
from audiobuff_core.evaluation.peers.frames import in_frames
from audiobuff_core.evaluation.peers.libraries import load_noisereduce, load_spectral_subtraction, load_wpe
from audiobuff_core.evaluation.peers.limit import time_limit
from audiobuff_core.evaluation.peers.operator import NOTHING, operate
from audiobuff_core.evaluation.peers.peer import Case, of_waveform


def voice(channels, rate, seconds=0.8):
    """Vowels of a pitch that sways, four a second."""
    times = np.arange(round(seconds * rate)) / rate
    phase = 2 * math.pi * np.cumsum(120 + 20 * np.sin(2 * math.pi * 3 * times)) / rate
    formants = [
        (k, math.exp(-(((k * 120 - 600) / 500) ** 2)) + 0.3 * math.exp(-(((k * 120 - 1800) / 400) ** 2)))
        for k in range(1, 30)
    ]
    sound = sum(loud * np.sin(k * phase) for k, loud in formants) * (0.5 - 0.5 * np.cos(2 * math.pi * 4 * times))
    return Waveform(np.stack([0.1 * sound] * channels).astype(np.float32), rate)


@pytest.mark.parametrize("name", [name for name in PEERS if name != OPERATOR])
@pytest.mark.parametrize(("channels", "rate"), [(1, 44_100), pytest.param(2, RATE, marks=pytest.mark.slow)])
def test_every_peer_keeps_shape_and_time(name, channels, rate):
    clean = voice(channels, rate)  # two of them know voices only
    outcome = PEERS[name].load()(Case(clean))
    made = outcome.waveform
    assert made.samples.shape == clean.samples.shape
    assert made.sample_rate == rate
    assert outcome.how == ()
    assert abs(delay_samples(clean.samples, made.samples, most_samples=2000)) <= (name == "rnnoise")
    silent = Waveform(np.zeros((channels, 700), np.float32), rate)
    assert not PEERS[name].load()(Case(silent)).waveform.samples.any()


@pytest.mark.parametrize(
    "load", [load_wpe, load_spectral_subtraction, load_noisereduce, lambda: load_noisereduce(stationary=True)]
)
def test_tools_of_libraries_keep_shape_and_time(load):
    clean = music(2)
    made = load()(clean)
    assert made.samples.shape == clean.samples.shape
    assert delay_samples(clean.samples, made.samples, most_samples=2000) == 0
    one = Waveform(np.full((1, 1), 0.5, np.float32), RATE)
    assert load()(one).samples.shape == (1, 1)


def test_frames_of_a_delaying_process_come_back_where_they_were():
    line = np.zeros(1440, np.float32)

    def delay(frame, answer):
        nonlocal line
        line = np.concatenate([line, frame])
        answer[:], line = line[:480], line[480:]

    samples = np.arange(1, 1001, dtype=np.float32)
    assert np.array_equal(in_frames(samples, delay, 1440), samples)


def test_delay_of_a_filter_is_taken_off():
    clean = music(2)
    late = ffmpeg_filtered(clean, [("adelay", "delays=30:all=1")])
    assert np.array_equal(late.samples, clean.samples)


def test_ffmpeg_and_grooveclean_remove_clicks():
    clean = music(rate=44_100)
    samples = clean.samples.copy()
    samples[0, 5000:30000:4000] += 0.8
    clicked = Waveform(samples, clean.sample_rate)
    truth = clean.samples[0].astype(np.float64)
    before = si_sdr_db(truth, samples[0].astype(np.float64))
    for restore in (PEERS["grooveclean"].load(), operate):
        row = row_of(Fault("clicks", {}))
        after = restore(Case(clicked, row, clean)).waveform.samples[0].astype(np.float64)
        assert si_sdr_db(truth, after) > before + 10
    adeclick = ffmpeg_filtered(clicked, [("adeclick", "")]).samples[0].astype(np.float64)
    assert si_sdr_db(truth, adeclick) > before + 3


def test_gate_lowers_noise():
    noise = np.random.default_rng(3).standard_normal((1, RATE)).astype(np.float32) * 0.1
    gated = load_noisereduce(stationary=True)(Waveform(noise, RATE)).samples
    assert np.square(gated).mean() < 0.1 * np.square(noise).mean()


def clipped(seconds=0.5):
    """Music of which every second sample is clipped: FFmpeg's adeclip would take minutes."""
    clean = music(seconds=seconds, rate=44_100)
    height = float(np.quantile(np.abs(clean.samples), 0.3))
    return Case(Waveform(np.clip(clean.samples, -height, height), 44_100), row_of(Fault("clipping", {})), clean)


def test_a_tool_that_takes_too_long_is_given_up_and_named():
    case = replace(clipped(), limit_seconds=0.3)
    outcome = operate(case)
    assert outcome.given_up == ("clipping: ffmpeg adeclip gave up after 0.3 s",)
    assert outcome.how in (("clipping: audiobuff clipping",), (f"clipping: {NOTHING}",))
    chain = PEERS["ffmpeg"].load()(case)
    assert "adeclip gave up after 0.3 s" in chain.given_up  # on a busy machine its other filter too
    assert not np.array_equal(chain.waveform.samples, case.damaged.samples)  # by the other two


def test_a_peer_of_one_step_that_takes_too_long_has_nothing_to_give():
    def forever(waveform):
        while True:
            pass

    with pytest.raises(PeerTooSlow, match=r"gave up after 0\.05 s"):
        of_waveform(forever)(replace(clipped(), limit_seconds=0.05))


def test_a_limit_leaves_the_quick_and_other_interruptions_alone():
    before = signal.getsignal(signal.SIGINT)
    with time_limit(60):
        quick = 1
    assert quick
    with pytest.raises(KeyboardInterrupt), time_limit(60):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(ValueError, match="of the tool"), time_limit(60):
        raise ValueError("of the tool")
    assert signal.getsignal(signal.SIGINT) is before
