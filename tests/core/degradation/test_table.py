"""Every kind and variant of the table, and whole draws of it: any audio, the same bits from the row alone."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.align import delay_samples
from audiobuff_core.degradation.kinds import KINDS_TABLE, STAGES, problems_of
from audiobuff_core.degradation.plan import KINDS, PlanRow, draw_row
from audiobuff_core.degradation.recipe import load_recipe
from audiobuff_core.degradation.render import FAULTS, render, render_target

ENTRIES = [entry.name for entry in load_recipe("audiobuff").entries]
# Sounds that are there whatever the music is.
HEARD_IN_SILENCE = {"hum", "dc_offset"}
# No delay is measured where time itself sways, or where the peak of the correlation is not the direct sound.
# Held samples of white noise are as like it at every lag of the hold; a test of their own measures their place.
WITHOUT_PLACE = {"reverb", "wow_flutter:wow", "wow_flutter:flutter", "rate_crush", "stereo:polarity"}


def white(channels=1, num_samples=20_000, sample_rate=44_100, level=0.2):
    samples = level * np.random.default_rng(num_samples).standard_normal((channels, num_samples))
    return Waveform(samples.astype(np.float32), sample_rate)


def row_of(recipe, *, seed=3, variant=0):
    return draw_row("a", "0123", recipe=recipe, seed=seed, variant=variant)


@settings(max_examples=250, deadline=None)
@given(
    recipe=st.sampled_from(["audiobuff", *ENTRIES]),
    seed=st.integers(0, 10_000),
    num_samples=st.sampled_from([1, 2, 3, 100, 1151, 4097]),
    sample_rate=st.sampled_from([8_000, 11_025, 22_050, 44_100, 96_000, 192_000]),
    channels=st.integers(1, 3),
    level=st.sampled_from([0.0, 1e-40, 1e-6, 0.2, 5.0, 1e30]),
)
def test_any_audio_comes_back_whole_finite_and_the_same(recipe, seed, num_samples, sample_rate, channels, level):
    row = row_of(recipe, seed=seed)
    waveform = white(channels, num_samples, sample_rate, level)
    before = waveform.samples.copy()
    first = render(row, waveform)
    again = render(PlanRow.from_dict(json.loads(json.dumps(row.as_dict()))), waveform)
    assert first.samples.shape == (channels, num_samples)
    assert first.sample_rate == sample_rate
    assert np.isfinite(first.samples).all()
    assert first.samples.tobytes() == again.samples.tobytes()
    np.testing.assert_array_equal(waveform.samples, before)


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 192_000])
@pytest.mark.parametrize("recipe", ENTRIES)
def test_every_entry_damages_music_stays_in_place_and_leaves_silence(recipe, sample_rate):
    waveform = white(channels=2, num_samples=20_000, sample_rate=sample_rate)
    row = row_of(recipe)
    damaged = render(row, waveform)
    assert [fault.kind for fault in row.faults] == [recipe.partition(":")[0]]
    edges = [row.faults[0].parameters.get(name, 0) for name in ("bandwidth_hz", "rate_hz")]
    if max(edges) < 0.49 * sample_rate:
        assert np.abs(damaged.samples - waveform.samples).max() > 1e-5
    if recipe not in WITHOUT_PLACE:
        pair = (waveform.samples.astype(float), damaged.samples.astype(float))
        assert abs(delay_samples(*pair, most_samples=4000)) <= 1
    silent = render(row, white(channels=2, sample_rate=sample_rate, level=0.0)).samples
    assert (np.abs(silent).max() < 1e-6) == (recipe not in HEARD_IN_SILENCE)


def test_the_table_can_draw_and_render_every_kind():
    assert KINDS_TABLE.keys() == FAULTS.keys()
    kinds = {entry.kind for entry in load_recipe("audiobuff").entries}
    # Environments need a folder; the other two are the original's, and are in its recipe.
    assert KINDS_TABLE.keys() - kinds == {"environment", "filters", "overdrive"}
    assert {kind.stage for kind in KINDS_TABLE.values()} == set(STAGES)


@pytest.mark.parametrize("recipe", ["seed", *KINDS, *ENTRIES])
def test_what_is_drawn_is_what_its_kind_allows(recipe):
    faults = [fault for variant in range(40) for fault in row_of(recipe, variant=variant).faults]
    assert [problems_of(fault.kind, fault.parameters) for fault in faults] == [[]] * len(faults)
    for fault in faults[:3]:
        for name in KINDS_TABLE[fault.kind].parameters.keys() & fault.parameters.keys():
            assert problems_of(fault.kind, {**fault.parameters, name: 1e9})
            less = {one: value for one, value in fault.parameters.items() if one != name}
            assert f"{fault.kind} {name}: is missing" in problems_of(fault.kind, less)


def test_items_have_their_number_of_faults_in_the_order_of_the_stages():
    rows = [draw_row("a", str(index), recipe="audiobuff", seed=1, variant=0) for index in range(4000)]
    counts = Counter(len(row.faults) for row in rows)
    for number, share in enumerate([0.15, 0.35, 0.25, 0.15, 0.10]):
        assert counts[number] == pytest.approx(4000 * share, abs=4 * (4000 * share * (1 - share)) ** 0.5)
    orders = set()
    for row in rows:
        kinds = [fault.kind for fault in row.faults]
        stages = [STAGES.index(KINDS_TABLE[kind].stage) for kind in kinds]
        assert stages == sorted(stages)
        assert len(set(kinds)) == len(kinds)
        orders |= set(pairwise(kinds))
    assert {("noise", "reverb"), ("reverb", "noise")} <= orders  # permuted within the room
    seen = Counter(fault.kind for row in rows for fault in row.faults)
    assert seen.keys() == {entry.kind for entry in load_recipe("audiobuff").entries}


def test_kinds_can_be_asked_for_together_and_by_variant():
    row = row_of("level+eq:tilt+wind")
    assert [fault.kind for fault in row.faults] == ["wind", "eq", "level"]
    assert {row_of("eq:tilt", seed=seed).faults[0].parameters["mode"] for seed in range(9)} == {"tilt"}
    assert len({row_of("eq", seed=seed).faults[0].parameters["mode"] for seed in range(60)}) == 5


def test_the_target_follows_the_level_where_the_recipe_says_so():
    waveform = white()
    row = row_of("level")
    parameters = row.faults[0].parameters
    gain = parameters["gain"] * 10 ** (parameters["jitter_db"] / 20)
    for place in (render(row, waveform), render_target(row, waveform)):
        np.testing.assert_allclose(place.samples, waveform.samples * gain, rtol=1e-5, atol=1e-9)
    kept = {"faults": [{"kind": "level", "parameters": {**parameters, "target": "kept"}}]}
    assert render_target(PlanRow.from_dict(row.as_dict() | kept), waveform) is waveform
    for recipe in ("wow_flutter", "reverb", "codec"):  # whose target is the clean signal itself
        assert render_target(row_of(recipe), waveform) is waveform
