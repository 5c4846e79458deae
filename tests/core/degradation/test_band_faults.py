"""Bands are cut where and as steeply as their rows say."""

import numpy as np
import pytest
from tones import RATE, gain_db, white

from audiobuff_core.degradation.faults import band_limit, filters


def test_the_originals_filters_have_their_edges(generator):
    parameters = {"highpass_hz": 200.0, "lowpass_hz": 8000.0, "quality": 0.7071}

    def warped(hz):  # the bilinear transform's frequency
        return np.tan(np.pi * hz / RATE)

    for hz in (50, 200, 1500, 8000, 16_000):
        # Second-order Butterworth edges: 1 / (1 + ratio^4) of the power.
        expected = 1 / (1 + (warped(200) / warped(hz)) ** 4) / (1 + (warped(hz) / warped(8000)) ** 4)
        assert gain_db(filters, parameters, hz, generator) == pytest.approx(10 * np.log10(expected), abs=0.05)


@pytest.mark.parametrize("family", ["sinc", "polyphase", "stft_mask"])
@pytest.mark.parametrize(
    ("bandwidth_hz", "sample_rate"), [(2_000, 8_000), (2_000, RATE), (8_000, RATE), (16_000, RATE), (24_000, 192_000)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_steep_band_edges_reach_minus_60_db(family, bandwidth_hz, sample_rate, channels, generator):
    parameters = {"bandwidth_hz": bandwidth_hz, "family": family}
    found = [
        gain_db(band_limit, parameters, share * bandwidth_hz, generator, sample_rate, channels)
        for share in (0.85, 1.12)
    ]
    assert found[0] == pytest.approx(0.0, abs=0.2)
    assert found[1] < -60.0


@pytest.mark.parametrize("order", [2, 5, 8])
@pytest.mark.parametrize(("family", "edge_db"), [("butterworth", -3.01), ("bessel", -3.01), ("chebyshev", -0.5)])
def test_analogue_band_edges_fall_as_their_order_says(family, edge_db, order, generator):
    parameters = {"bandwidth_hz": 4_000, "family": family, "order": order, "ripple_db": 0.5}
    assert gain_db(band_limit, parameters, 4_000, generator) == pytest.approx(edge_db, abs=0.1)
    per_octave = gain_db(band_limit, parameters, 12_000, generator) - edge_db
    # At least the analogue slope of 6 dB an octave and order over the 1.58 octaves, less Bessel's slow start.
    assert per_octave < -6.02 * order * 1.58 * (0.55 if family == "bessel" else 0.95)


def test_elliptic_band_edges_have_their_stop_band(generator):
    parameters = {"bandwidth_hz": 4_000, "family": "elliptic", "order": 8, "ripple_db": 0.5}
    assert gain_db(band_limit, parameters, 4_000, generator) == pytest.approx(-0.5, abs=0.1)
    assert gain_db(band_limit, parameters, 6_000, generator) < -75.0


def test_a_band_edge_above_the_nyquist_rate_changes_nothing(generator):
    clean = white(sample_rate=8_000)
    for family in ("sinc", "polyphase", "butterworth", "stft_mask"):
        parameters = {"bandwidth_hz": 4_000, "family": family, "order": 4}
        np.testing.assert_array_equal(band_limit.apply(clean, 8_000, parameters, generator), clean)
