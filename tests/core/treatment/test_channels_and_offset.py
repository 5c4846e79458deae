import numpy as np
import pytest
from sounds_to_treat import RATE, drums, plucked, square_waves, tones, waveform

from audiobuff_core.treatment.channels import FixPolarity, ReviveChannel
from audiobuff_core.treatment.dc import RemoveOffset


@pytest.mark.parametrize("offset", [0.01, -0.05])
def test_offset_is_taken_out_of_its_channel(offset):
    given = waveform(tones(), tones() + offset)
    treated = RemoveOffset().treat(given)
    np.testing.assert_allclose(treated.waveform.samples[1], tones(), atol=1e-3)
    assert np.array_equal(treated.waveform.samples[0], given.samples[0])
    (repair,) = treated.repairs
    assert (repair.channels, repair.kind) == ((1,), "dc")
    assert repair.size_db == pytest.approx(20 * np.log10(abs(offset)), abs=0.5)


@pytest.mark.parametrize("sound", [tones, plucked, drums, square_waves])
def test_music_has_no_offset(sound):
    given = waveform(sound())
    assert RemoveOffset().treat(given).waveform is given


def test_lopsided_sound_between_silences_has_no_offset():
    lopsided = np.abs(tones())
    lopsided[(np.arange(len(lopsided)) // RATE) % 2 == 1] = 0.0
    given = waveform(lopsided)
    assert RemoveOffset().treat(given).waveform is given


def test_opposite_channels_are_turned_back():
    side = 0.2 * plucked(4.0)
    left, right = tones() + side, tones() - side
    treated = FixPolarity().treat(waveform(left, -right))
    np.testing.assert_allclose(treated.waveform.samples, [left, right], atol=1e-6)
    assert treated.repairs[0].channels == (1,)
    assert treated.repairs[0].confidence > 0.8


@pytest.mark.parametrize("right", [tones(), plucked(4.0), np.zeros(4 * RATE)], ids=["same", "other", "silent"])
def test_stereo_that_is_not_opposite_stays(right):
    given = waveform(tones(), right)
    assert FixPolarity().treat(given).waveform is given


def test_channel_opposite_for_a_moment_stays():
    right = tones()
    right[:RATE] *= -1
    given = waveform(tones(), right)
    assert FixPolarity().treat(given).waveform is given


def test_silent_channel_gets_the_other():
    noise = 2e-5 * np.random.default_rng(1).uniform(-1, 1, 4 * RATE)
    treated = ReviveChannel().treat(waveform(noise, tones()))
    assert np.array_equal(treated.waveform.samples[0], treated.waveform.samples[1])
    assert treated.repairs[0].channels == (0,)


def test_quiet_channel_and_silence_stay():
    for given in (
        waveform(0.001 * tones(), tones()),
        waveform(np.zeros(2 * RATE), np.zeros(2 * RATE)),
        waveform(tones()),
    ):
        assert ReviveChannel().treat(given).waveform is given
