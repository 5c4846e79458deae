import math
from dataclasses import replace

import numpy as np
import pytest
from measured_sounds import RATE, measured, music

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidAudio, MetricUnavailable, NotMeasurable
from audiobuff_core.evaluation.metrics.protocol import Comparison, Signal
from audiobuff_core.evaluation.metrics.registry import MAIN, METRICS, find_metrics
from audiobuff_core.evaluation.metrics.si_sdr import SI_SDR


def signal(samples, rate=RATE):
    return Signal(Waveform(np.atleast_2d(samples).astype(np.float32), rate))


def test_names_are_unique_and_the_main_ones_are_among_them():
    assert set(MAIN) <= set(METRICS)
    assert all(name == metric.name for name, metric in METRICS.items())
    assert all(metric.material > 0 and metric.about.endswith(".") for metric in METRICS.values())
    assert [metric.name for metric in find_metrics(["lsd_db", "si_sdr_db"])] == ["lsd_db", "si_sdr_db"]
    assert len(find_metrics()) == len(METRICS)
    with pytest.raises(MetricUnavailable, match=r"No metric is called loudness: expected some of .*si_sdr_db"):
        find_metrics(["loudness"])


def test_a_missing_package_is_an_error_that_names_it():
    lacking = replace(SI_SDR, packages=("no_such_package", "numpy"))
    assert lacking.missing == ("no_such_package",)
    with pytest.raises(MetricUnavailable, match=r"SI-SDR needs no_such_package.*uv sync --extra metrics"):
        lacking.measure(Comparison(signal(music()), signal(music())))


def test_what_is_derived_of_a_signal_is_computed_once():
    calls = []

    def energy(waveform):
        calls.append(1)
        return float(np.square(waveform.samples).sum())

    one = signal(music())
    assert one.derived(energy) == one.derived(energy)
    assert len(calls) == 1
    assert one.at(16_000) is one.at(16_000)
    assert one.at(RATE) is one
    assert one.at(16_000).sample_rate == 16_000


def test_unequal_shapes_and_rates_are_refused():
    with pytest.raises(InvalidAudio, match="expected equal ones"):
        Comparison(signal(music()), signal(music()[:-1]))
    with pytest.raises(InvalidAudio, match="44100 Hz beside a clean one"):
        Comparison(signal(music()), signal(music(), 44_100))
    with pytest.raises(InvalidAudio, match="expected equal ones"):
        Comparison(signal(music()), signal(music()), signal([music(), music()]))


def test_silent_channels_are_left_out_and_silence_is_no_reference():
    clean = music()
    stereo, estimate = np.stack([clean, np.zeros_like(clean)]), np.stack([clean, clean])
    assert measured("si_sdr_db", stereo, estimate) == 30
    with pytest.raises(NotMeasurable, match="silent"):
        measured("lsd_db", np.zeros(RATE), clean[:RATE])


def test_a_value_that_is_none_is_no_value():
    endless = replace(SI_SDR, compare=lambda comparison: math.inf)
    with pytest.raises(NotMeasurable, match="its value is inf"):
        endless.measure(Comparison(signal(music()), signal(music())))
