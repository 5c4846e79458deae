import numpy as np
import pytest
from sounds_to_treat import RATE, drums, plucked, square_waves, waveform

from audiobuff_core.degradation.faults import bit_depth
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.treatment.quantisation import Dequantise, step_of

SECONDS = 6.0


def rounded(clean, bits, dither="none"):
    parameters = {"bits": bits, "dither": dither}
    return bit_depth.apply(clean[None], RATE, parameters, np.random.default_rng(4))[0]


def true_step(clean, bits):
    return np.abs(clean).max() / (2 ** (bits - 1) - 1)


@pytest.mark.parametrize("bits", [5, 8, 11])
@pytest.mark.parametrize("gain", [1.0, 0.013])
def test_the_step_is_found_at_any_level(bits, gain):
    damaged = (gain * rounded(plucked(SECONDS), bits)).astype(np.float32)
    step, share = step_of(damaged)
    assert step == pytest.approx(gain * true_step(plucked(SECONDS), bits), rel=1e-5)
    assert share == 1.0


def test_the_step_is_found_in_sixteen_bits_and_beside_repaired_samples():
    damaged = np.round(rounded(plucked(SECONDS), 8) * 2**15) / 2**15
    damaged[1000:4000] += 1e-3 * np.random.default_rng(1).standard_normal(3000)
    step, share = step_of(damaged.astype(np.float32))
    assert step == pytest.approx(true_step(plucked(SECONDS), 8), rel=1e-3)
    assert 0.9 < share < 1.0


@pytest.mark.parametrize(("bits", "dither"), [(6, "none"), (8, "none"), (6, "triangular"), (8, "triangular")])
def test_coarse_steps_are_smoothed_within_their_range(bits, dither):
    clean = plucked(SECONDS)
    damaged = rounded(clean, bits, dither)
    given = waveform(damaged)
    treated = Dequantise().treat(given)
    (repair,) = treated.repairs
    assert (repair.kind, repair.channels, repair.end_seconds) == ("quantisation", (0,), given.duration_seconds)
    restored = treated.waveform.samples[0].astype(np.float64)
    assert si_sdr_db(clean, restored) > si_sdr_db(clean, damaged) + 1.5
    most = (0.5 if dither == "none" else 1.5) * true_step(clean, bits)
    assert np.abs(restored - damaged).max() <= most * 1.001 + 1e-7


def test_a_hiss_that_was_recorded_is_no_rounding_error():
    clean = plucked(SECONDS)
    hiss = np.sqrt(2 / 12) * true_step(clean, 7) * np.random.default_rng(2).standard_normal(len(clean))
    clean = clean + hiss
    damaged = rounded(clean, 7)
    restored = Dequantise().treat(waveform(damaged)).waveform.samples[0].astype(np.float64)
    assert si_sdr_db(clean, restored) >= si_sdr_db(clean, damaged)


def test_only_the_channel_with_few_bits_is_changed():
    clean = plucked(SECONDS)
    given = waveform(clean, rounded(clean, 7))
    treated = Dequantise().treat(given).waveform.samples
    assert np.array_equal(treated[0], given.samples[0])
    assert not np.array_equal(treated[1], given.samples[1])


@pytest.mark.parametrize(
    "sound",
    [
        plucked,
        drums,
        square_waves,
        lambda: np.round(plucked() * 2**15) / 2**15,
        lambda: np.round(0.001 * plucked() * 2**15) / 2**15,
        lambda: np.round(square_waves() * 60) / 60,
        lambda: np.zeros(RATE),
    ],
    ids=["float", "drums", "chip", "16 bits", "quiet 16 bits", "chip of few levels", "silence"],
)
def test_what_has_no_coarse_steps_or_needs_no_finer_ones_is_left_alone(sound):
    given = waveform(sound())
    assert Dequantise().treat(given).waveform is given
