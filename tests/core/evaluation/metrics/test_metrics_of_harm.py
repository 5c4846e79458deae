"""What was made up or lost: each measure of a known amount, and more of it is worse."""

import numpy as np
import pytest
from measured_sounds import falls, measured, music, noise

from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.added import NOTHING, added_db

RATE = 16_000


def tone(hertz, seconds=1.0, rate=RATE):
    """A buzz: a voice to the tracker of pitch."""
    times = np.arange(round(seconds * rate)) / rate
    return 0.05 * sum(np.sin(2 * np.pi * number * hertz * times) / number for number in range(1, 8))


def paused(level=0.0, seconds=1.0):
    """Sound, then silence with noise of `level` in it."""
    num_samples = round(seconds * RATE)
    return np.concatenate([tone(220, seconds), level * noise("pause", num_samples, 1.0)])


def test_energy_that_is_added_is_told_in_db():
    assert added_db(1e-4, 1e-4) == 0
    assert added_db(1e-4, 1e-5) == 0  # less is no harm here
    assert added_db(0.0, 99 * NOTHING) == pytest.approx(20)


def test_noise_in_silence_is_its_height_over_next_to_nothing():
    clean = paused()
    expected = 10 * np.log10((1e-6 + NOTHING) / NOTHING)
    assert measured("silence_added_db", clean, paused(1e-3), RATE) == pytest.approx(expected, abs=0.2)
    assert measured("silence_added_db", clean, 0.5 * clean, RATE) == 0
    assert falls("silence_added_db", [measured("silence_added_db", clean, paused(10**-p), RATE) for p in (5, 4, 3, 2)])
    with pytest.raises(NotMeasurable, match="nowhere silent"):
        measured("silence_added_db", tone(220), tone(220), RATE)


def test_a_tone_above_the_band_is_its_power_over_what_is_there():
    clean = tone(220) * np.hanning(RATE) + noise("little", RATE, 1e-6)  # no step at its ends
    times = np.arange(RATE) / RATE
    extra = [clean + height * np.sin(2 * np.pi * 6000 * times) for height in (1e-3, 1e-2)]
    expected = 10 * np.log10((1e-6 / 2 + NOTHING) / NOTHING)
    values = [measured("band_added_db", clean, estimate, RATE) for estimate in extra]
    assert values[0] == pytest.approx(expected, abs=0.5)
    assert falls("band_added_db", [0.0, *values])
    assert measured("band_added_db", clean, clean, RATE) == 0
    with pytest.raises(NotMeasurable, match="fills the whole band"):
        measured("band_added_db", noise("white", RATE, 0.1), noise("white", RATE, 0.1), RATE)


def test_a_raised_floor_is_told_in_db_and_a_gate_is_no_harm():
    generator_noise = noise("floor", 2 * RATE, 1e-3)
    clean = np.concatenate([tone(220), np.zeros(RATE)]) + generator_noise
    raised = [clean + (factor - 1) * generator_noise for factor in (2, 4)]
    values = [measured("floor_added_db", clean, estimate, RATE) for estimate in raised]
    assert values[0] == pytest.approx(20 * np.log10(2), abs=0.3)
    assert values[1] == pytest.approx(20 * np.log10(4), abs=0.3)
    assert measured("floor_added_db", clean, clean - generator_noise, RATE) == 0
    assert falls("floor_added_db", [0.0, *values])


@pytest.mark.slow
def test_pitch_error_is_the_interval_in_cents():
    clean = tone(200)
    assert measured("f0_cents", clean, clean, RATE) == pytest.approx(0, abs=1e-6)
    shifted = [measured("f0_cents", clean, tone(200 * 2 ** (cents / 1200)), RATE) for cents in (100, 400)]
    assert shifted == [pytest.approx(100, abs=25), pytest.approx(400, abs=25)]
    assert falls("f0_cents", [0.0, *shifted])


@pytest.mark.slow
def test_voicing_error_is_the_share_of_frames_whose_voice_is_lost_or_made_up():
    clean = np.concatenate([tone(200), np.zeros(RATE)])
    half = np.concatenate([tone(200)[: RATE // 2], np.zeros(RATE + RATE // 2)])
    quarter = measured("voicing_error", clean, half, RATE)
    assert quarter == pytest.approx(0.25, abs=0.03)
    whole = measured("voicing_error", clean, np.zeros_like(clean), RATE)
    assert whole == pytest.approx(0.5, abs=0.03)
    assert falls("voicing_error", [measured("voicing_error", clean, clean, RATE), quarter, whole])
    with pytest.raises(NotMeasurable, match="have a pitch in both"):
        measured("f0_cents", clean, np.zeros_like(clean), RATE)


def test_chroma_is_the_same_an_octave_higher_and_another_a_fourth_higher():
    rate = 22_050
    times = np.arange(rate) / rate

    def sine(hertz):
        return 0.2 * np.sin(2 * np.pi * hertz * times)

    a, octave, fourth = sine(440), sine(880), sine(587.33)
    same, other = (measured("chroma_similarity", a, one, rate) for one in (octave, fourth))
    mixed = measured("chroma_similarity", a, a + fourth, rate)
    assert same == pytest.approx(1, abs=0.05)
    assert other < 0.2
    assert falls("chroma_similarity", [1.0, mixed, other])


def test_loudness_and_peaks_are_told_in_their_units():
    clean = music(1.0)
    for change_db in (-6.0, 3.0):
        assert measured("lufs_delta", clean, clean * 10 ** (change_db / 20)) == pytest.approx(abs(change_db), abs=0.05)
    assert falls("lufs_delta", [measured("lufs_delta", clean, clean * gain) for gain in (1.0, 0.7, 0.3)])
    assert measured("lufs_delta", clean, np.zeros_like(clean)) > 20
    with pytest.raises(NotMeasurable, match="no loudness"):
        measured("lufs_delta", clean[:9_000], clean[:9_000])
    sine = np.sin(2 * np.pi * 997 * np.arange(48_000) / 48_000)
    over = [measured("true_peak_over_db", 0.5 * sine, gain * sine) for gain in (0.9, 2.0, 4.0)]
    assert over == [0, pytest.approx(6.02, abs=0.05), pytest.approx(12.04, abs=0.05)]
    assert measured("true_peak_over_db", 2 * sine, 2 * sine) == 0  # as loud as it was
    assert falls("true_peak_over_db", over)
