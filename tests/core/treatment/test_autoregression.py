import numpy as np

from audiobuff_core.treatment.autoregression import interpolate, prediction_error_filter


def test_filter_of_a_known_process():
    generator = np.random.default_rng(0)
    noise = generator.standard_normal(50_000)
    signal = np.zeros(50_000)
    for n in range(2, len(signal)):
        signal[n] = 1.6 * signal[n - 1] - 0.9 * signal[n - 2] + noise[n]
    np.testing.assert_allclose(prediction_error_filter(signal, 2), [1.0, -1.6, 0.9], atol=0.02)


def test_missing_samples_of_a_sum_of_sines_are_found():
    time = np.arange(2000)
    signal = np.sin(0.11 * time) + 0.4 * np.cos(0.37 * time + 1.0)
    missing = np.zeros(2000, dtype=bool)
    missing[900:912] = missing[1100:1103] = True
    found = interpolate(np.where(missing, 9.0, signal), missing, prediction_error_filter(signal, 16))
    np.testing.assert_allclose(found, signal[missing], atol=0.02)


def test_minimum_of_the_prediction_error_is_exact():
    generator = np.random.default_rng(1)
    block = generator.standard_normal(200)
    missing = np.zeros(200, dtype=bool)
    missing[[60, 61, 90, 120]] = True
    error_filter = np.array([1.0, -0.9, 0.3, 0.1])
    expected = np.full(4, 0.5)

    def cost(values):
        filled = block.copy()
        filled[missing] = values
        return np.square(np.convolve(filled, error_filter)).sum() + 0.2 * np.square(values - expected).sum()

    best = interpolate(block, missing, error_filter, expected=expected, stiffness=0.2)
    for step in 1e-3 * np.vstack([np.eye(4), -np.eye(4)]):
        assert cost(best) < cost(best + step)


def test_silence_predicts_silence():
    error_filter = prediction_error_filter(np.zeros(500), 8)
    np.testing.assert_array_equal(error_filter, np.eye(9)[0])
