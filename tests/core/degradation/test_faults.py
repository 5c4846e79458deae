"""Each fault is measured to do what its row says."""

import numpy as np
import pyroomacoustics
import pytest
from pyroomacoustics.experimental import measure_rt60

from audiobuff_core.degradation.align import delay_samples
from audiobuff_core.degradation.faults import (
    band_limit,
    clicks,
    clipping,
    filters,
    gaps,
    hum,
    mp3,
    noise,
    overdrive,
    reverb,
)
from audiobuff_core.degradation.plan import KINDS, draw_row

RATE = 44_100
EVERY_RATE = pytest.mark.parametrize("sample_rate", [8_000, 44_100, 192_000])
MONO_AND_STEREO = pytest.mark.parametrize("channels", [1, 2])


@pytest.fixture
def generator():
    return np.random.default_rng(7)


def white(channels=1, seconds=2.0, sample_rate=RATE, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal((channels, int(seconds * sample_rate)))


def tone(hz, sample_rate=RATE, seconds=1.0, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * sample_rate)) / sample_rate)[None]


def gain_db(fault, parameters, hz, generator, sample_rate=RATE, channels=1):
    """What a linear fault does to a tone in the last of so many channels, away from the edges."""
    clean = np.repeat(tone(hz, sample_rate), channels, axis=0)
    damaged = fault.apply(clean, sample_rate, parameters, generator)
    inner = slice(sample_rate // 4, -sample_rate // 4)
    return 20 * np.log10(np.std(damaged[-1, inner]) / np.std(clean[-1, inner]) + 1e-12)


@pytest.mark.parametrize("color", ["white", "pink", "brown", "blue", "slope", "band"])
@pytest.mark.parametrize("snr_db", [-5.0, 40.0])
@EVERY_RATE
@MONO_AND_STEREO
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


@EVERY_RATE
@MONO_AND_STEREO
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


@EVERY_RATE
@MONO_AND_STEREO
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


@EVERY_RATE
@MONO_AND_STEREO
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
@MONO_AND_STEREO
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
@MONO_AND_STEREO
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


@pytest.mark.parametrize("lost_share", [0.05, 0.25])
@pytest.mark.parametrize("mean_burst", [1.0, 4.0])
@EVERY_RATE
@MONO_AND_STEREO
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


@EVERY_RATE
@MONO_AND_STEREO
def test_gaps_have_their_number_and_length(sample_rate, channels, generator):
    parameters = {"mode": "gaps", "num_gaps": 3, "gap_seconds": 0.2, "most_share": 0.5}
    for damaged in gaps.apply(np.ones((channels, 10 * sample_rate)), sample_rate, parameters, generator):
        edges = np.flatnonzero(np.diff(np.concatenate([[1.0], damaged, [1.0]])))
        assert (edges[1::2] - edges[::2]).tolist() == [sample_rate // 5] * 3
    short = gaps.apply(np.ones((1, RATE // 10)), RATE, parameters, generator)
    assert (short == 0).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("bit_rate", "edge_hz"), [(24_000, 8_500), (32_000, 12_000), (128_000, 21_000)])
@pytest.mark.parametrize("sample_rate", [44_100, 192_000])
@MONO_AND_STEREO
def test_mp3_loses_the_top_of_the_spectrum_with_the_bit_rate(bit_rate, edge_hz, sample_rate, channels, generator):
    clean = white(channels, 1.0, sample_rate)
    damaged = mp3.apply(clean, sample_rate, {"bit_rate": bit_rate, "generations": 1}, generator)
    power = np.abs(np.fft.rfft(damaged[-1])) ** 2
    hz = np.fft.rfftfreq(damaged.shape[1], 1 / sample_rate)
    assert power[(hz > edge_hz) & (hz < 22_050)].mean() < 1e-2 * power[(hz > 500) & (hz < 3000)].mean()
    assert abs(delay_samples(clean, damaged, most_samples=3000)) <= (sample_rate > 48_000)


def test_mp3_generations_add_up(generator):
    clean = tone(440) + white(seconds=1.0) * 0.3
    errors = [
        np.std(mp3.apply(clean, RATE, {"bit_rate": 48_000, "generations": count}, generator) - clean)
        for count in (1, 3)
    ]
    assert errors[1] > errors[0] > 1e-4


@pytest.mark.parametrize(
    ("sample_rate", "bit_rate", "expected"),
    [
        (44_100, 128_000, (44_100, 128_000)),
        (44_100, 24_000, (24_000, 24_000)),
        (192_000, 64_000, (48_000, 64_000)),
        (8_000, 128_000, (8_000, 64_000)),
        (10_000, 32_000, (11_025, 32_000)),
    ],
)
def test_mp3_uses_rates_that_the_format_has(sample_rate, bit_rate, expected):
    assert mp3.stream_rates(sample_rate, bit_rate) == expected


ROOM = {f"{what}_{axis}": place for what, place in (("source", 0.3), ("microphone", 0.7)) for axis in "xyz"}


@pytest.mark.parametrize(("sample_rate", "num_rooms"), [(8_000, 30), (44_100, 20), (192_000, 4)])
def test_reverb_decays_as_its_rt60_says(sample_rate, num_rooms):
    for index in range(num_rooms):  # rooms of every shape that the table draws
        parameters = draw_row("a", str(index), recipe="reverb", seed=1, variant=0).faults[0].parameters
        response = reverb.impulse_response(parameters, sample_rate, index % 2, np.random.default_rng(index))
        assert response[0] == 1.0  # the direct path, where the dry signal is
        seconds = measure_rt60(response[1:], fs=sample_rate, decay_db=30)
        assert seconds == pytest.approx(parameters["rt60_seconds"], rel=0.03), parameters


def test_a_room_is_the_same_bits_however_many_threads_there_are(generator):
    parameters = {**ROOM, "length_m": 5.0, "width_m": 4.0, "height_m": 3.0, "rt60_seconds": 0.4}
    found = []
    threads = pyroomacoustics.constants.get("num_threads")
    for number in (1, 4):
        pyroomacoustics.constants.set("num_threads", number)
        found.append(reverb.impulse_response(parameters, RATE, 0, np.random.default_rng(1)).tobytes())
    pyroomacoustics.constants.set("num_threads", threads)
    assert found[0] == found[1]


def test_the_first_reflection_comes_when_geometry_says(generator):
    parameters = {**ROOM, "length_m": 10.0, "width_m": 10.0, "height_m": 4.0, "rt60_seconds": 1.0}
    parameters |= {"source_z": 0.25, "microphone_z": 0.25}
    direct = np.hypot(4.0, 4.0)
    floor = np.hypot(direct, 2.0)  # both a metre above it
    response = reverb.impulse_response(parameters, RATE, 0, generator)
    expected = (floor - direct) / 343.0 * RATE
    assert abs(np.argmax(np.abs(response[1:200])) + 1 - expected) <= 1.0
    assert np.abs(response[1:200]).max() < direct / floor  # further away, and a wall has taken of it


@pytest.mark.parametrize("rt60_seconds", [0.05, 10.0])
@pytest.mark.parametrize("size", [1.0, 50.0])
def test_impossible_rooms_are_finite(rt60_seconds, size, generator):
    parameters = {**ROOM, "length_m": 2 * size, "width_m": size, "height_m": size, "rt60_seconds": rt60_seconds}
    for place in ({}, {"microphone_x": 0.3, "microphone_y": 0.3, "microphone_z": 0.3}):  # in one spot, too
        damaged = reverb.apply(white(5, 0.2, 8_000), 8_000, parameters | place, generator)
        assert np.isfinite(damaged).all()
        assert np.abs(damaged).max() < 100.0


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"hum"}))
def test_silence_stays_silent(kind, generator):
    from audiobuff_core.degradation.render import FAULTS

    for _ in range(20):
        damaged = FAULTS[kind](np.zeros((2, 5000)), RATE, KINDS[kind](generator), generator)
        assert np.abs(damaged).max() < 1e-6
