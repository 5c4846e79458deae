"""Each fault is measured to do what its row says."""

import numpy as np
import pytest
from tones import RATE, RATES, white

from audiobuff_core.degradation.faults import (
    clicks,
    clipping,
    gaps,
    hum,
    noise,
    overdrive,
)
from audiobuff_core.degradation.plan import KINDS


@pytest.mark.parametrize("color", ["white", "pink", "brown", "blue", "slope", "band"])
@pytest.mark.parametrize("snr_db", [-5.0, 40.0])
@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_noise_has_its_ratio_to_a_tenth_of_a_decibel(color, snr_db, sample_rate, channels, generator):
    clean = white(channels, 0.5, sample_rate)
    parameters = {"color": color, "snr_db": snr_db, "slope_db_per_octave": 4.0, "low_hz": 500.0, "high_hz": 900.0}
    added = noise.apply(clean, sample_rate, parameters, generator) - clean
    assert 10 * np.log10(np.mean(clean**2) / np.mean(added**2)) == pytest.approx(snr_db, abs=0.1)
    if channels == 2 and color != "brown":  # few waves of which are in half a second
        assert abs(np.corrcoef(added)[0, 1]) < 0.2  # channels of their own


@pytest.mark.parametrize(
    ("color", "slope"), [("white", 0.0), ("pink", -3.01), ("brown", -6.02), ("blue", 3.01), ("slope", 5.0)]
)
def test_noise_has_its_color(color, slope, generator):
    clean = white(seconds=20.0)
    parameters = {"color": color, "snr_db": 0.0, "slope_db_per_octave": 5.0}
    power = np.abs(np.fft.rfft(noise.apply(clean, RATE, parameters, generator) - clean)) ** 2
    hz = np.fft.rfftfreq(clean.shape[1], 1 / RATE)
    bands_db = [10 * np.log10(power[0, (hz >= low) & (hz < 2 * low)].mean()) for low in (500, 1000, 2000, 4000, 8000)]
    assert np.diff(bands_db).mean() == pytest.approx(slope, abs=0.2)


def test_band_noise_stays_in_its_band(generator):
    clean = white()
    parameters = {"color": "band", "snr_db": 0.0, "low_hz": 500.0, "high_hz": 900.0}
    power = np.abs(np.fft.rfft(noise.apply(clean, RATE, parameters, generator) - clean)[0]) ** 2
    hz = np.fft.rfftfreq(clean.shape[1], 1 / RATE)
    assert power[(hz > 490) & (hz < 910)].sum() / power.sum() > 0.99


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_hum_lines_have_their_levels(sample_rate, channels, generator):
    clean = np.zeros((channels, 4 * sample_rate))
    parameters = {
        "mains_hz": 60, "offset_share": 0.0, "drift_share": 0.0, "drift_hz": 0.1, "num_harmonics": 4,
        "level_dbfs": -30.0,
    }  # fmt: skip
    added = hum.apply(clean, sample_rate, parameters, generator)
    amplitudes = 2 * np.abs(np.fft.rfft(added)) / added.shape[1]
    for harmonic in range(1, 5):
        level_db = 20 * np.log10(amplitudes[0, harmonic * 60 * 4])
        assert level_db == pytest.approx(-30.0 - 20 * np.log10(harmonic), abs=0.01)
    np.testing.assert_array_equal(added[0], added[-1])
    assert amplitudes[0, 5 * 60 * 4] < 1e-9


def test_the_hum_drifts_within_half_a_percent(generator):
    worst = {"mains_hz": 50, "offset_share": 0.003, "drift_share": 0.002, "drift_hz": 0.1}
    parameters = {**worst, "num_harmonics": 1, "level_dbfs": -25.0}
    added = hum.apply(np.zeros((1, 12 * 8_000)), 8_000, parameters, generator)[0]
    crossings = np.flatnonzero((added[:-1] < 0) & (added[1:] >= 0))
    exact = crossings - added[crossings] / (added[crossings + 1] - added[crossings])
    hz = 8_000 / np.diff(exact)
    assert hz.max() == pytest.approx(50 * 1.005, abs=0.01)
    assert hz.min() == pytest.approx(50 * 1.001, abs=0.01)


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_clicks_have_their_rate_width_and_height(sample_rate, channels, generator):
    clean = white(channels, 10.0, sample_rate)
    parameters = {"rate_hz": 5.0, "shortest_ms": 0.1, "longest_ms": 1.0, "lowest_db": 20.0, "highest_db": 26.0}
    added = clicks.apply(clean, sample_rate, parameters, generator) - clean
    touched = np.flatnonzero(np.abs(added[0]) > 0)
    starts = touched[np.diff(touched, prepend=-sample_rate) > 1.4 * sample_rate / 1000]
    assert len(starts) == pytest.approx(50, abs=4 * 50**0.5)
    assert len(touched) / len(starts) <= 1.01 * sample_rate / 1000
    peak_db = 20 * np.log10(np.abs(added).max() / np.sqrt(np.mean(clean**2)))
    assert 20.0 < peak_db < 30.0  # 26 dB, and the local level's sway and rare overlaps
    np.testing.assert_allclose(added[0], added[-1], atol=1e-12)


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_quantile_clipping_clips_its_share(sample_rate, channels, generator):
    clean = white(channels, 1.0, sample_rate)
    parameters = {"mode": "quantile", "low_quantile": 0.05, "high_quantile": 0.92}
    damaged = clipping.apply(clean, sample_rate, parameters, generator)
    assert np.mean(damaged == damaged.min()) == pytest.approx(0.05, abs=0.005)
    assert np.mean(damaged == damaged.max()) == pytest.approx(0.08, abs=0.005)


def test_quantile_clipping_looks_only_where_something_sounds(generator):
    mostly_pause = np.concatenate([white(seconds=0.1), np.zeros((1, 10 * RATE))], axis=1)
    parameters = {"mode": "quantile", "low_quantile": 0.1, "high_quantile": 0.9}
    damaged = clipping.apply(mostly_pause, RATE, parameters, generator)
    assert np.std(damaged) > 0.7 * np.std(mostly_pause)


@pytest.mark.parametrize("divisor", [2, 3, 5])
@pytest.mark.parametrize("channels", [1, 2])
def test_peak_clipping_has_its_ceiling(divisor, channels, generator):
    clean = white(channels)
    damaged = clipping.apply(clean, RATE, {"mode": "peak", "peak_divisor": divisor}, generator)
    ceiling = np.abs(clean).max() / divisor
    assert np.abs(damaged).max() == pytest.approx(ceiling)
    np.testing.assert_array_equal(damaged[np.abs(clean) < ceiling], clean[np.abs(clean) < ceiling])


def test_soft_clipping_follows_tanh_and_keeps_quiet_samples(generator):
    clean = np.array([[0.0, 1e-4, 0.5, -1.0]])
    damaged = clipping.apply(clean, RATE, {"mode": "soft", "drive": 3.0}, generator)
    np.testing.assert_allclose(damaged, np.tanh(3 * clean) / 3)
    assert damaged[0, 1] == pytest.approx(1e-4, rel=1e-4)


def test_overdrive_clips_and_keeps_the_level(generator):
    clean = white()
    parameters = {"drive": 2.0, "limit": 1.0, "before": "peak_to_1", "after": "undo_drive"}
    damaged = overdrive.apply(clean, RATE, parameters, generator)
    peak = np.abs(clean).max()
    assert np.abs(damaged).max() == pytest.approx(peak / 2)
    intact = np.abs(clean) < peak / 2
    assert (~intact).sum() > 0
    np.testing.assert_allclose(damaged[intact], clean[intact])


@pytest.mark.parametrize("lost_share", [0.05, 0.25])
@pytest.mark.parametrize("mean_burst", [1.0, 4.0])
@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_packets_are_lost_in_their_share_and_bursts(lost_share, mean_burst, sample_rate, channels, generator):
    parameters = {
        "mode": "packets", "packet_ms": 20, "lost_share": lost_share, "mean_burst": mean_burst, "longest_burst": 10
    }  # fmt: skip
    lost = gaps.lost_packets(5000, parameters, generator)
    assert lost.sum() == round(5000 * lost_share)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lost.astype(int), [0]])))
    bursts = edges[1::2] - edges[::2]
    assert bursts.max() <= 10
    assert bursts.mean() == pytest.approx(mean_burst, rel=0.2)
    damaged = gaps.apply(np.ones((channels, sample_rate)), sample_rate, parameters, generator)
    zeros = (damaged == 0).all(axis=0).reshape(-1, sample_rate // 50)
    assert (zeros.all(axis=1) | ~zeros.any(axis=1)).all()  # whole packets of 20 ms, in all channels
    assert zeros[:, 0].sum() == round(50 * lost_share)


@pytest.mark.parametrize("lost_share", [0.6, 0.95, 1.0])
def test_a_share_without_room_for_its_bursts_is_lost_all_the_same(lost_share, generator):
    parameters = {"lost_share": lost_share, "mean_burst": 1.0, "longest_burst": 1}
    assert gaps.lost_packets(1000, parameters, generator).sum() == round(1000 * lost_share)


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_gaps_have_their_number_and_length(sample_rate, channels, generator):
    parameters = {"mode": "gaps", "num_gaps": 3, "gap_seconds": 0.2, "most_share": 0.5}
    for damaged in gaps.apply(np.ones((channels, 10 * sample_rate)), sample_rate, parameters, generator):
        edges = np.flatnonzero(np.diff(np.concatenate([[1.0], damaged, [1.0]])))
        assert (edges[1::2] - edges[::2]).tolist() == [sample_rate // 5] * 3
    short = gaps.apply(np.ones((1, RATE // 10)), RATE, parameters, generator)
    assert (short == 0).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"hum"}))
def test_silence_stays_silent(kind, generator):
    from audiobuff_core.degradation.render import FAULTS

    for _ in range(20):
        damaged = FAULTS[kind](np.zeros((2, 5000)), RATE, KINDS[kind](generator), generator)
        assert np.abs(damaged).max() < 1e-6
