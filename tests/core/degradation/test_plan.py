"""The table of damage is a pure function of seed, content, variant and recipe."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiobuff_core.degradation.plan import DEMO_SHARES, KINDS, PlanRow, draw_row, recipe_names
from audiobuff_core.errors import InvalidConfig

HASHES = st.text("0123456789abcdef", min_size=1, max_size=64)
RECIPES = st.sampled_from(recipe_names())


def kind_of(row):
    kinds = [fault.kind for fault in row.faults]
    return "seed" if kinds == ["filters", "overdrive", "noise"] else kinds[0] if kinds else "clean"


@given(audio_hash=HASHES, recipe=RECIPES, seed=st.integers(0, 2**63), variant=st.integers(0, 99))
def test_a_row_survives_json_and_ignores_the_name(audio_hash, recipe, seed, variant):
    row = draw_row("one", audio_hash, recipe=recipe, seed=seed, variant=variant)
    again = draw_row("another", audio_hash, recipe=recipe, seed=seed, variant=variant)
    assert PlanRow.from_dict(json.loads(json.dumps(row.as_dict()))) == row
    assert again.faults == row.faults


@pytest.mark.parametrize("recipe", ["seed", *KINDS])
def test_other_keys_give_other_damage(recipe):
    rows = [
        draw_row("a", audio_hash, recipe=recipe, seed=seed, variant=variant)
        for audio_hash in ("aa", "ab")
        for seed in (1, 2)
        for variant in range(4)
    ]
    assert len({json.dumps(row.as_dict()["faults"]) for row in rows}) > 8


def test_the_seed_recipe_has_the_originals_ranges():
    rows = [draw_row("a", str(index), recipe="seed", seed=1, variant=0) for index in range(300)]
    parameters = [{fault.kind: fault.parameters for fault in row.faults} for row in rows]
    drives = [one["overdrive"]["drive"] for one in parameters]
    ratios = [one["noise"]["snr_db"] for one in parameters]
    assert all(one["filters"] == {"highpass_hz": 200.0, "lowpass_hz": 8000.0, "quality": 0.7071} for one in parameters)
    assert all(one["noise"]["color"] == "white" for one in parameters)
    assert 1.5 <= min(drives) < 1.6
    assert 2.9 < max(drives) <= 3.0
    assert 10.0 <= min(ratios) < 10.5
    assert 24.5 < max(ratios) <= 25.0


def test_the_demo_mixture_has_its_shares():
    assert sum(DEMO_SHARES.values()) == pytest.approx(1.0)
    drawn = Counter(kind_of(draw_row("a", str(index), recipe="demo", seed=1, variant=0)) for index in range(4000))
    assert drawn.keys() == DEMO_SHARES.keys()
    for kind, share in DEMO_SHARES.items():
        # Four standard deviations of a binomial count.
        assert drawn[kind] == pytest.approx(4000 * share, abs=4 * (4000 * share * (1 - share)) ** 0.5)


def test_clean_has_no_faults_and_each_kind_has_its_own():
    assert draw_row("a", "b", recipe="clean", seed=1, variant=0).faults == ()
    for kind in KINDS:
        assert [fault.kind for fault in draw_row("a", "b", recipe=kind, seed=1, variant=0).faults] == [kind]


@pytest.mark.parametrize(
    ("recipe", "name", "low", "high"),
    [
        ("noise", "snr_db", -5, 40),
        ("hum", "level_dbfs", -60, -25),
        ("hum", "num_harmonics", 1, 10),
        ("clicks", "rate_hz", 0.2, 30),
        ("clicks", "longest_ms", 0.1, 3),
        ("clicks", "lowest_db", 6, 15),
        ("clicks", "highest_db", 15, 30),
        ("mp3", "bit_rate", 24_000, 128_000),
        ("mp3", "generations", 1, 3),
        ("reverb", "rt60_seconds", 0.1, 2.0),
        ("reverb", "length_m", 2, 20),
    ],
)
def test_parameters_stay_in_their_ranges_and_use_them(recipe, name, low, high):
    rows = [draw_row("a", str(index), recipe=recipe, seed=1, variant=0) for index in range(300)]
    values = [row.faults[0].parameters[name] for row in rows]
    assert low <= min(values) <= low + 0.25 * (high - low)
    assert high - 0.25 * (high - low) <= max(values) <= high


def test_unknown_recipes_are_refused_with_the_known_ones():
    with pytest.raises(InvalidConfig, match=r"'tape'.*audiobuff, seed"):
        draw_row("a", "b", recipe="tape", seed=1, variant=0)
