"""A row and its audio give the same bits, of the same shape, in the same place, whatever comes in."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.align import aligned, delay_samples, shifted
from audiobuff_core.degradation.plan import KINDS, Fault, draw_row, recipe_names
from audiobuff_core.degradation.ranges import FILTER_FAMILIES
from audiobuff_core.degradation.render import FAULTS, render
from audiobuff_core.errors import InvalidConfig


def white(channels=1, num_samples=20_000, sample_rate=44_100, level=0.2):
    samples = level * np.random.default_rng(num_samples).standard_normal((channels, num_samples))
    return Waveform(samples.astype(np.float32), sample_rate)


@settings(max_examples=120, deadline=None)
@given(
    recipe=st.sampled_from(recipe_names()),
    seed=st.integers(0, 1000),
    variant=st.integers(0, 9),
    num_samples=st.sampled_from([1, 2, 3, 100, 1151, 4097]),
    sample_rate=st.sampled_from([8_000, 11_025, 22_050, 44_100, 96_000, 192_000]),
    channels=st.integers(1, 2),
    level=st.sampled_from([0.0, 1e-6, 0.2, 5.0]),
)
def test_any_audio_comes_back_whole_and_the_same_each_time(
    recipe, seed, variant, num_samples, sample_rate, channels, level
):
    row = draw_row("a", f"{seed:x}", recipe=recipe, seed=seed, variant=variant)
    waveform = white(channels, num_samples, sample_rate, level)
    before = waveform.samples.copy()
    first = render(row, waveform)
    again = render(replace(row, track_id="renamed"), waveform)
    assert first.samples.shape == (channels, num_samples)
    assert first.sample_rate == sample_rate
    assert np.isfinite(first.samples).all()
    assert first.samples.tobytes() == again.samples.tobytes()
    np.testing.assert_array_equal(waveform.samples, before)


@pytest.mark.parametrize("recipe", ["seed", *KINDS])
def test_every_kind_damages_music_and_no_variant_like_another(recipe):
    waveform = white(num_samples=60_000)
    variants = [render(draw_row("a", "b", recipe=recipe, seed=1, variant=k), waveform).samples for k in range(2)]
    assert np.abs(variants[0] - waveform.samples).max() > 1e-5
    assert np.abs(variants[0] - variants[1]).max() > 1e-5


def test_clean_is_bit_for_bit_clean():
    waveform = white(channels=2)
    row = draw_row("a", "b", recipe="clean", seed=1, variant=0)
    assert render(row, waveform).samples.tobytes() == waveform.samples.tobytes()


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("recipe", ["seed", "noise", "clipping", "mp3", "reverb"])
def test_damage_is_aligned_to_within_one_sample(recipe, sample_rate):
    waveform = white(channels=2, num_samples=30_000, sample_rate=sample_rate)
    for variant in range(3):
        damaged = render(draw_row("a", "c", recipe=recipe, seed=3, variant=variant), waveform)
        if recipe == "reverb":  # the room may be louder than the direct sound: the beginning shows the place
            np.testing.assert_allclose(damaged.samples[:, 0], waveform.samples[:, 0], rtol=1e-5)
            continue
        pair = (waveform.samples.astype(float), damaged.samples.astype(float))
        assert abs(delay_samples(*pair, most_samples=4000)) <= 1


@pytest.mark.parametrize("family", FILTER_FAMILIES)
@pytest.mark.parametrize("bandwidth_hz", [2000, 11025])
@pytest.mark.parametrize("order", [3, 8])
def test_every_band_edge_is_aligned_to_within_one_sample(family, bandwidth_hz, order):
    waveform = white(channels=2, num_samples=30_001)
    parameters = {"bandwidth_hz": bandwidth_hz, "family": family, "order": order, "ripple_db": 0.5}
    row = replace(draw_row("a", "c", recipe="band_limit", seed=3, variant=0), faults=(Fault("band_limit", parameters),))
    damaged = render(row, waveform)
    pair = (waveform.samples.astype(float), damaged.samples.astype(float))
    assert abs(delay_samples(*pair, most_samples=4000)) <= 1


def test_more_than_two_channels_are_rendered_too():
    waveform = white(channels=5, num_samples=5000)
    for recipe in ("mp3", "seed", "reverb"):
        row = draw_row("a", "b", recipe=recipe, seed=1, variant=0)
        assert render(row, waveform).channels == 5


def test_the_seed_recipe_keeps_the_level_near_the_clean_ones():
    waveform = white(num_samples=60_000)
    damaged = render(draw_row("a", "b", recipe="seed", seed=1, variant=0), waveform)
    # White noise of 22 kHz keeps 8 kHz of it: -4.4 dB; the drive itself must cost hardly anything.
    change_db = 20 * np.log10(np.std(damaged.samples) / np.std(waveform.samples))
    assert -6.0 < change_db < -3.0


def test_unknown_faults_are_refused():
    row = replace(draw_row("a", "b", recipe="clean", seed=1, variant=0), faults=(Fault("locusts", {}),))
    with pytest.raises(InvalidConfig, match=r"'locusts'.*filters, overdrive"):
        render(row, white())


def test_every_kind_that_can_be_drawn_can_be_rendered():
    drawn = {
        fault.kind for name in recipe_names() for fault in draw_row("a", "b", recipe=name, seed=1, variant=0).faults
    }
    assert drawn <= FAULTS.keys()


@given(by_samples=st.integers(-40, 40), channels=st.integers(1, 2))
def test_a_known_delay_is_found_and_undone(by_samples, channels):
    reference = np.random.default_rng(1).standard_normal((channels, 500))
    late = shifted(reference, by_samples)
    assert delay_samples(reference, late, most_samples=50) == by_samples
    inner = slice(50, -50)
    np.testing.assert_array_equal(aligned(reference, late, most_samples=50)[:, inner], reference[:, inner])
    assert delay_samples(reference, np.zeros_like(reference), most_samples=50) == 0
