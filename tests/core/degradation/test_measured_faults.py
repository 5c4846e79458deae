"""Each fault of the wider table is measured to do what its row says."""

import numpy as np
import pytest
from scipy.signal import hilbert
from tones import RATE, RATES, gain_db, ratio_db, spectrum_of, tone, white

from audiobuff_core.degradation.align import delay_samples
from audiobuff_core.degradation.faults import (
    bit_depth,
    compressor,
    dropouts,
    eq,
    level,
    over_suppression,
    rate_crush,
    saturation,
    softening,
    stereo,
    wow_flutter,
)


@pytest.mark.parametrize("sample_rate", [16_000, 44_100, 192_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("parameters", "hz", "expected_db"),
    [
        ({"mode": "tilt", "slope_db_per_octave": 3.0}, 4000, 6.0),
        ({"mode": "tilt", "slope_db_per_octave": -2.0}, 250, 4.0),
        ({"mode": "notch", "notch_hz": 1500.0, "depth_db": 18.0, "quality": 2.0}, 1500, -18.0),
        ({"mode": "shelf", "side": "low", "corner_hz": 400.0, "gain_db": 12.0}, 30, 12.0),
        ({"mode": "shelf", "side": "low", "corner_hz": 400.0, "gain_db": 12.0}, 400, 6.0),
        ({"mode": "shelf", "side": "high", "corner_hz": 1500.0, "gain_db": -9.0}, 1500, -4.5),
        ({"mode": "shelf", "side": "high", "corner_hz": 1500.0, "gain_db": -9.0}, 7500, -9.0),
        ({"mode": "device", "device": "phone", "amount": 1.0}, 600, 0.0),
        ({"mode": "device", "device": "phone", "amount": 0.5}, 3800, -10.0),
        ({"mode": "device", "device": "laptop", "amount": 1.0}, 200, -18.0),
        (
            {"mode": "peaks", "num_peaks": 2, "peak_hz_1": 300.0, "peak_db_1": 5.0, "quality_1": 4.0,
             "peak_hz_2": 5000.0, "peak_db_2": -6.0, "quality_2": 4.0},
            300, 5.0,
        ),
    ],
)  # fmt: skip
def test_tones_come_out_as_the_equaliser_says(parameters, hz, expected_db, sample_rate, channels, generator):
    found = gain_db(eq, parameters, hz, generator, sample_rate, channels)
    assert found == pytest.approx(expected_db, abs=0.25)


WOW = {"rate_hz": 2.0, "depth_percent": 0.5}


@pytest.mark.parametrize("sample_rate", [8_000, 44_100])
@pytest.mark.parametrize(("rate_hz", "depth_percent"), [(0.5, 0.8), (6.0, 0.3), (30.0, 0.1)])
def test_wow_has_its_depth_and_rate_and_no_mean(sample_rate, rate_hz, depth_percent, generator):
    parameters = {"rate_hz": rate_hz, "depth_percent": depth_percent}
    clean = tone(1000.0, sample_rate, seconds=6.0, channels=2)
    damaged = wow_flutter.apply(clean, sample_rate, parameters, generator)
    np.testing.assert_array_equal(damaged[0], damaged[1])
    phase = np.unwrap(np.angle(hilbert(damaged[0])))
    inner = slice(sample_rate // 2, -sample_rate // 2)
    speed = np.convolve(np.diff(phase), np.ones(32) / 32, "same")[inner] * sample_rate / (2 * np.pi * 1000.0) - 1
    assert 50 * np.ptp(speed) == pytest.approx(depth_percent, rel=0.03)
    spectrum = np.abs(np.fft.rfft((speed - speed.mean()) * np.hanning(len(speed))))
    assert np.argmax(spectrum) * sample_rate / len(speed) == pytest.approx(rate_hz, abs=0.3)


@pytest.mark.parametrize("seconds", [0.05, 0.7, 10.0])
@pytest.mark.parametrize("rate_hz", [0.3, 6.0, 30.0])
def test_wow_leaves_the_target_unwarped(seconds, rate_hz, generator):
    parameters = {"rate_hz": rate_hz, "depth_percent": 0.8}
    moved = wow_flutter.displacement_seconds(int(seconds * RATE), RATE, parameters, generator)
    assert abs(moved.mean()) < 1e-9
    assert np.abs(moved).max() <= 2 * 0.008 / (2 * np.pi * rate_hz)
    if seconds == 10.0:
        assert np.abs(moved).max() == pytest.approx(0.008 / (2 * np.pi * rate_hz), rel=0.05)


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 192_000])
def test_a_swaying_high_tone_is_what_it_should_be_to_sixty_decibels(sample_rate):
    hz = 0.35 * sample_rate
    damaged = wow_flutter.apply(tone(hz, sample_rate), sample_rate, WOW, np.random.default_rng(3))
    moved = wow_flutter.displacement_seconds(sample_rate, sample_rate, WOW, np.random.default_rng(3))
    expected = 0.5 * np.sin(2 * np.pi * hz * (np.arange(sample_rate) / sample_rate + moved))
    inner = slice(sample_rate // 10, -sample_rate // 10)
    assert ratio_db(expected[inner], damaged[0, inner] - expected[inner]) > 60


def test_dropouts_have_their_depth_length_and_fades(generator):
    parameters = {
        "rate_hz": 0.5, "shortest_ms": 100.0, "longest_ms": 200.0, "lowest_db": -40.0, "highest_db": -40.0,
        "fade_share": 0.5,
    }  # fmt: skip
    damaged = dropouts.apply(np.ones((2, 60 * RATE)), RATE, parameters, generator)
    np.testing.assert_array_equal(damaged[0], damaged[1])
    assert 20 * np.log10(damaged.min()) == pytest.approx(-40.0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (damaged[0] < 1.0).astype(int), [0]])))
    widths_ms = (edges[1::2] - edges[::2]) / RATE * 1000
    assert len(widths_ms) == pytest.approx(30, abs=4 * 30**0.5)
    assert np.median(widths_ms) == pytest.approx(150, abs=30)
    assert np.abs(np.diff(20 * np.log10(damaged[0]))).max() < 0.1  # no step that would click


@pytest.mark.parametrize("curve", ["tanh", "arctan", "cubic", "exponential", "hard"])
@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_saturation_keeps_quiet_sounds_and_bends_loud_ones(curve, bias, generator):
    clean = np.array([[0.0, 1e-5, -1e-5, 0.9, -0.9]])
    damaged = saturation.apply(clean, RATE, {"curve": curve, "drive": 4.0, "bias": bias}, generator)
    np.testing.assert_allclose(damaged[0, :3], clean[0, :3], rtol=1e-2, atol=1e-12)
    assert np.abs(damaged[0, 3:]).max() < 0.75
    assert (abs(damaged[0, 3] + damaged[0, 4]) < 1e-9) == (bias == 0.0)


def test_saturation_makes_odd_harmonics_and_with_bias_even_ones(generator):
    clean = tone(1000.0)
    for bias, even in ((0.0, False), (0.3, True)):
        power, _ = spectrum_of(
            saturation.apply(clean, RATE, {"curve": "tanh", "drive": 4.0, "bias": bias}, generator), RATE
        )
        assert 10 * np.log10(power[3000] / power[1000]) > -30
        assert (10 * np.log10(power[2000] / power[1000] + 1e-30) > -40) == even


@pytest.mark.parametrize("bits", [5, 8, 12])
@pytest.mark.parametrize("channels", [1, 2])
def test_few_bits_leave_few_levels_and_their_noise(bits, channels, generator):
    clean = tone(997.0, channels=channels)
    damaged = bit_depth.apply(clean, RATE, {"bits": bits, "dither": "none"}, generator)
    assert len(np.unique(damaged)) <= 2**bits
    # The rule of thumb of a full sine: 6.02 dB a bit and 1.76.
    assert ratio_db(clean, damaged - clean) == pytest.approx(6.02 * bits + 1.76, abs=1.0)
    dithered = bit_depth.apply(clean, RATE, {"bits": bits, "dither": "triangular"}, generator)
    assert ratio_db(clean, dithered - clean) == pytest.approx(6.02 * bits + 1.76 - 4.77, abs=1.0)


@pytest.mark.parametrize("output", ["hold", "smooth"])
@pytest.mark.parametrize("sample_rate", [44_100, 192_000])
def test_a_crushed_rate_folds_tones_back(output, sample_rate, generator):
    damaged = rate_crush.apply(tone(7000.0, sample_rate), sample_rate, {"rate_hz": 10_000, "output": output}, generator)
    power, hz = spectrum_of(damaged, sample_rate)
    assert hz[np.argmax(power * (hz < 4900))] == pytest.approx(3000.0, abs=2.0)
    images = power[hz > 5200].sum() / power.sum()
    assert images > 0.1 if output == "hold" else images < 0.01
    clean = white(2, 0.5, sample_rate)
    np.testing.assert_array_equal(
        rate_crush.apply(clean, sample_rate, {"rate_hz": sample_rate, "output": output}, generator), clean
    )


@pytest.mark.parametrize("output", ["hold", "smooth"])
@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("rate_hz", [5_000, 7_919])
def test_crushed_music_is_in_its_place(output, sample_rate, rate_hz, generator):
    seconds = np.arange(sample_rate) / sample_rate
    sweep = np.sin(2 * np.pi * (100 * seconds + 400 * seconds**2))[None]
    damaged = rate_crush.apply(sweep, sample_rate, {"rate_hz": rate_hz, "output": output}, generator)
    assert abs(delay_samples(sweep, damaged, most_samples=100)) <= 1


COMPRESSOR = {"threshold_db": -30.0, "ratio": 4.0, "attack_ms": 5.0, "release_ms": 100.0, "makeup": "none"}


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("ratio", [2.0, 45.0])
def test_the_compressor_has_its_threshold_and_ratio(sample_rate, ratio, generator):
    loud, quiet = tone(500.0, sample_rate, 2.0, 0.8, 2), tone(500.0, sample_rate, 2.0, 0.8 * 10 ** (-35 / 20), 2)
    damaged = compressor.apply(
        np.concatenate([loud, quiet], axis=1), sample_rate, COMPRESSOR | {"ratio": ratio}, generator
    )
    ends = [int(1.9 * sample_rate), int(3.9 * sample_rate)]
    levels_db = [20 * np.log10(np.abs(damaged[:, end - 400 : end]).max() / 0.8) for end in ends]
    assert levels_db[0] == pytest.approx(-30.0 + 30.0 / ratio, abs=0.5)
    assert levels_db[1] == pytest.approx(-35.0, abs=0.5)


def test_the_compressor_has_its_times_and_its_makeup(generator):
    clean = np.concatenate([tone(2000.0, amplitude=0.01), tone(2000.0, amplitude=0.8)], axis=1)
    damaged = compressor.apply(clean, RATE, COMPRESSOR | {"attack_ms": 50.0}, generator)
    gains_db = 20 * np.log10(np.abs(hilbert(damaged[0])) / np.abs(hilbert(clean[0])))[RATE + 400 : -400]
    reached = np.argmax(gains_db < -22.5 * (1 - np.exp(-1))) + 400
    assert reached / RATE * 1000 == pytest.approx(50.0, abs=4.0)
    levelled = compressor.apply(clean, RATE, COMPRESSOR | {"makeup": "rms"}, generator)
    assert np.std(levelled) == pytest.approx(np.std(clean), rel=1e-6)


def test_attacks_lose_their_depth_and_steady_sounds_nothing(generator):
    beats = np.concatenate([np.zeros((2, RATE // 2)), tone(1000.0, seconds=0.5, channels=2)] * 4, axis=1)
    damaged = softening.apply(beats, RATE, {"depth_db": 12.0, "recovery_ms": 60.0}, generator)
    for beat in range(1, 4):
        start = beat * RATE + RATE // 2
        attack = slice(start + 50, start + 300)
        assert 20 * np.log10(np.abs(damaged[:, attack]).max() / 0.5) == pytest.approx(-12.0, abs=1.5)
        later = slice(start + int(0.4 * RATE), start + int(0.49 * RATE))
        assert 20 * np.log10(np.abs(damaged[:, later]).max() / 0.5) == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
def test_the_gate_takes_its_share_of_the_spectrogram_and_keeps_what_stands_out(sample_rate, generator):
    clean = white(2, 2.0, sample_rate)
    parameters = {"gated_share": 0.5, "reduction_db": 40.0, "jitter_db": 3.0, "window_ms": 23}
    damaged = over_suppression.apply(clean, sample_rate, parameters, generator)
    # Half of a noisy spectrogram holds far less than half of its power, as the loud half stays.
    assert -3.5 < 20 * np.log10(np.std(damaged) / np.std(clean)) < -0.5
    kurtosis = [
        np.mean(np.abs(np.fft.rfft(one[0, : 1 << 13].reshape(16, 512))) ** 4)
        for one in (clean / clean.std(), damaged / damaged.std())
    ]
    assert kurtosis[1] > 1.05 * kurtosis[0]  # sparser: this is what sings
    unchanged = over_suppression.apply(clean, sample_rate, parameters | {"reduction_db": 0.0}, generator)
    np.testing.assert_allclose(unchanged, clean, atol=1e-12)


def test_channels_collapse_narrow_lean_and_turn(generator):
    clean = white(2)

    def made(**parameters):
        return stereo.apply(clean, RATE, parameters, generator)

    collapsed = made(mode="mono")
    np.testing.assert_allclose(collapsed[0], clean.mean(axis=0))
    np.testing.assert_array_equal(collapsed[0], collapsed[1])
    narrow = made(mode="width", width=0.25)
    np.testing.assert_allclose(narrow[0] - narrow[1], 0.25 * (clean[0] - clean[1]))
    leaning = made(mode="imbalance", difference_db=10.0)
    assert 20 * np.log10(np.std(leaning[0]) / np.std(leaning[1])) == pytest.approx(
        10.0 + 20 * np.log10(np.std(clean[0]) / np.std(clean[1]))
    )
    turned = made(mode="polarity", channel=1)
    np.testing.assert_array_equal(turned, clean * [[1], [-1]])
    one = white(1)
    for mode in ("mono", "width", "imbalance", "polarity"):
        np.testing.assert_array_equal(
            stereo.apply(one, RATE, {"mode": mode, "width": 0, "difference_db": 9, "channel": 0}, generator), one
        )


def test_the_level_is_the_product_of_gain_and_jitter(generator):
    clean = white(2)
    damaged = level.apply(clean, RATE, {"gain": 0.01, "jitter_db": 6.0, "target": "kept"}, generator)
    assert 20 * np.log10(np.std(damaged) / np.std(clean)) == pytest.approx(-34.0, abs=1e-6)
