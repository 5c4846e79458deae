"""What keeps a recording from being learned from, and up to where one is."""

from dataclasses import replace

import numpy as np
import pytest

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.data.quality import Measures, QualityGates, measure, refusals, trained_below_hz
from audiobuff_core.errors import InvalidConfig


def noise(seconds=1.0, sample_rate=44_100, channels=1):
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (channels, int(seconds * sample_rate)))
    return Waveform(samples.astype(np.float32), sample_rate)


@pytest.fixture(scope="module")
def good() -> Measures:
    return measure(noise())


def reasons(measures, peak=0.5, **gates):
    return [reason.split(":")[0] for reason in refusals(measures, peak=peak, gates=QualityGates(**gates))]


def test_a_good_recording_passes_every_gate(good):
    assert reasons(good) == []
    assert trained_below_hz(good, 44_100) is None
    assert good.duration_seconds == 1.0
    assert good.loudness_lufs == pytest.approx(-9, abs=3)
    assert (good.stereo_width, good.band_edge_hz, good.silence_share) == (None, None, 0.0)


def test_every_gate_names_itself_and_all_of_them_at_once(good):
    assert reasons(replace(good, duration_seconds=0.1)) == ["too short"]
    assert reasons(good, peak=1e-5) == ["silent"]
    assert reasons(replace(good, clipped_share=0.05)) == ["clipped"]
    assert reasons(replace(good, band_edge_hz=3_000.0)) == ["narrow band"]
    assert reasons(replace(good, duration_seconds=0.1, clipped_share=0.05)) == ["too short", "clipped"]
    assert reasons(replace(good, clipped_share=0.05), most_clipped_share=0.1) == []


@pytest.mark.parametrize(("lower_rate", "refused"), [(8_000, True), (16_000, True), (22_050, True), (32_000, False)])
def test_a_file_that_claims_twice_the_rate_it_was_made_at_is_refused(lower_rate, refused):
    measures = measure(resample(resample(noise(), lower_rate), 44_100))
    assert reasons(measures) == (["upsampled"] if refused else [])
    assert reasons(measures, allow_upsampled=True) == []
    assert trained_below_hz(measures, 44_100) == pytest.approx(0.97 * lower_rate / 2, rel=0.03)


def test_learning_stops_at_the_band_or_at_half_the_rate_if_either_is_low(good):
    low = replace(good, source_rate=16_000)
    assert trained_below_hz(low, 44_100) == 8_000.0
    assert trained_below_hz(replace(low, band_edge_hz=5_000.0), 44_100) == 5_000.0
    assert trained_below_hz(low, 16_000) is None
    assert trained_below_hz(replace(good, band_edge_hz=15_000.0), 16_000) is None
    assert trained_below_hz(replace(good, source_rate=44_100), 48_000) is None


def test_gates_that_make_no_sense_are_named_at_once():
    with pytest.raises(InvalidConfig, match=r"shortest_seconds -1 .*most_clipped_share 2 "):
        QualityGates(shortest_seconds=-1, most_clipped_share=2)
