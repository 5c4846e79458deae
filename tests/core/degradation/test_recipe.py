"""Recipes are files: read as they say, refused with all their problems at once, and independent of their place."""

import json
from pathlib import Path

import numpy as np
import pytest

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.degradation.distribution import parse_distribution
from audiobuff_core.degradation.kinds import KINDS_TABLE
from audiobuff_core.degradation.plan import draw_row
from audiobuff_core.degradation.recipe import RECIPE_FOLDER, TABLE_FILE, load_recipe
from audiobuff_core.degradation.render import render
from audiobuff_core.errors import AudioBuffError, InvalidConfig

OWN = """
name = "worn tape"
num_faults = [0.5, 0.5]

[[fault]]
kind = "wow_flutter"
weight = 3
rate_hz = { uniform = [1, 2] }
depth_percent = 0.4

[[fault]]
kind = "stereo"
mode = { choice = ["imbalance", "mono"], weights = [1, 0] }
difference_db = { integer = [3, 5], signed = true }
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "tape.toml"
    path.write_text(OWN)
    return path


def rows_of(path, number=400):
    return [draw_row("a", str(index), recipe=str(path), seed=1, variant=0) for index in range(number)]


def test_an_own_recipe_is_drawn_as_it_says(own):
    faults = [fault for row in rows_of(own) for fault in row.faults]
    assert len(faults) == pytest.approx(200, abs=40)
    wow = [fault.parameters for fault in faults if fault.kind == "wow_flutter"]
    leaning = [fault.parameters for fault in faults if fault.kind == "stereo"]
    assert len(wow) == pytest.approx(0.75 * len(faults), abs=30)
    assert all(1 <= one["rate_hz"] <= 2 and one["depth_percent"] == 0.4 for one in wow)
    assert all(one["displacement_ms"] == pytest.approx(4 / (2 * np.pi * one["rate_hz"]), abs=1e-4) for one in wow)
    assert {one["difference_db"] for one in leaning} == {-5, -4, -3, 3, 4, 5}
    assert {one["mode"] for one in leaning} == {"imbalance"}


def test_a_recipe_may_lie_anywhere_and_an_edit_counts(own, tmp_path):
    moved = tmp_path / "elsewhere" / "tape.toml"
    moved.parent.mkdir()
    moved.write_text(OWN)
    music = Waveform(np.random.default_rng(1).standard_normal((1, 4000)).astype(np.float32), 16_000)
    for one, other in zip(rows_of(own, 20), rows_of(moved, 20), strict=True):
        assert one.faults == other.faults
        assert render(one, music).samples.tobytes() == render(other, music).samples.tobytes()
    before = rows_of(own, 20)
    own.write_text(OWN.replace("0.4", "0.7"))
    assert before != rows_of(own, 20)


def test_the_seed_recipe_as_a_file_draws_the_originals_rows():
    for index in range(50):
        keys = {"seed": 7, "variant": index}
        named = draw_row("a", "c0ffee", recipe="seed", **keys)
        filed = draw_row("a", "c0ffee", recipe=str(RECIPE_FOLDER / "seed.toml"), **keys)
        assert filed.faults == named.faults
    music = Waveform(np.random.default_rng(1).standard_normal((1, 4000)).astype(np.float32), 16_000)
    assert render(filed, music).samples.tobytes() == render(named, music).samples.tobytes()


def test_all_problems_are_named_at_once(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(
        """
        colour = "red"
        num_faults = [0.5, 0.6]
        order = "backwards"
        [[fault]]
        kind = "locusts"
        [[fault]]
        kind = "hum"
        weight = -1
        mains_hz = { uniform = [60, 50] }
        level_dbfs = { uniform = [-60, 25] }
        num_harmonics = { uniform = [1, 3] }
        drift_hz = "often"
        drift = 1
        [[fault]]
        kind = "codec"
        codec = { choice = ["opus", "vorbis"] }
        generations = { integer = [1, 3], weights = [1, 2, 3] }
        [[fault]]
        kind = "band_limit"
        bandwidth_hz = { log_uniform = [0, 8000] }
        family = "brick"
        [[fault]]
        kind = "clicks"
        rate_hz = { normal = [1, 2] }
        shortest_ms = { uniform = [1, 3] }
        longest_ms = { choice = [] }
        lowest_db = nan
        highest_db = 3
        [[fault]]
        kind = "dropouts"
        rate_hz = 1
        shortest_ms = { uniform = [10, 40] }
        longest_ms = { uniform = [30, 50] }
        lowest_db = -40
        highest_db = -20
        fade_share = 0.5
        [[fault]]
        kind = "codec"
        codec = { choice = ["opus", "vorbis"] }
        generations = 1
        """
    )
    with pytest.raises(InvalidConfig) as caught:
        load_recipe(str(path))
    said = str(caught.value)
    assert "\n" not in said
    for words in (
        "unknown key 'colour'", "num_faults [0.5, 0.6]", "order 'backwards'",
        "fault 1 (locusts): kind is none of reverb",
        "weight -1", "mains_hz: { uniform = [60, 50] }: lowest 60 exceeds highest 50",
        "level_dbfs: 25 is outside -120 to 0", "num_harmonics: expected a whole number",
        "drift_hz: 'often' is no number",
        "drift: unknown parameter", "weights go with choice alone", "a logarithmic law needs numbers above 0",
        "family: 'brick' is none of", "rate_hz: { normal = [1, 2] }: expected exactly one of",
        "longest_ms: { choice = [] }", "lowest_db: nan",
        "shortest_ms may be 40 and longest_ms 30", "quality is missing for codec mp3_vbr|vorbis",
        "bit_rate is missing for codec opus|aac",
    ):  # fmt: skip
        assert words in said, words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = [", "not TOML"),
        ("", "no faults"),
        ("fault = 3", "no faults"),
        ("fault = [3]", "kind is none of"),
        ("num_faults = [0.5, 0.3, 0.2]\n[[fault]]\nkind = 'dc_offset'\noffset = 0.1", "at most 1"),
        ("[[fault]]\nkind = 'environment'\nfolder = 'gone'\nvoices = 1\nstart_share = 0\nsnr_db = 3", "is no folder"),
        ("[[fault]]\nkind = 'noise'\ncolor = 'band'\nsnr_db = 3\nlow_hz = 900\nhigh_hz = 500", "low_hz may be 900"),
        ("[[fault]]\nkind = 'dc_offset'\noffset = true", "neither a number"),
        ("[[fault]]\nkind = 'dc_offset'\noffset = inf", "neither a number"),
    ],
)
def test_each_bad_recipe_is_one_clear_line(tmp_path, text, words):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match=words) as caught:
        draw_row("a", "b", recipe=str(path), seed=1, variant=0)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_recipes_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(InvalidConfig, match=r"none\.toml can't be read"):
        load_recipe(str(tmp_path / "none.toml"))
    with pytest.raises(InvalidConfig, match=r"'eq:tilted'.*reverb"):
        load_recipe("hum+eq:tilted")


def test_noise_of_a_folder_beside_the_recipe_is_in_the_row(tmp_path):
    for name in ("one", "two"):
        noise = Waveform(np.random.default_rng(len(name)).standard_normal((1, 800)).astype(np.float32), 8_000)
        write_audio(tmp_path / "noises" / f"{name}.wav", noise)
    path = tmp_path / "street.toml"
    path.write_text(
        "[[fault]]\nkind = 'environment'\nfolder = 'noises'\nvoices = 2\nstart_share = { uniform = [0, 1] }\nsnr_db = 5"
    )
    row = draw_row("a", "b", recipe=str(path), seed=1, variant=0)
    assert sorted(name for name, _ in json.loads(row.faults[0].parameters["files"])) == ["one.wav", "two.wav"]
    music = Waveform(np.random.default_rng(1).standard_normal((2, 4000)).astype(np.float32), 16_000)
    added = render(row, music).samples - music.samples
    assert 10 * np.log10(np.mean(music.samples**2) / np.mean(added**2)) == pytest.approx(5.0, abs=0.1)
    (tmp_path / "noises" / "one.wav").unlink()
    with pytest.raises(AudioBuffError, match=r"one\.wav"):
        render(row, music)


def test_babble_has_no_more_voices_than_the_folder_has_recordings(tmp_path):
    for name in ("one", "two"):
        write_audio(tmp_path / f"{name}.wav", Waveform(np.ones((1, 800), np.float32), 8_000))
    (fault,) = draw_row("a", "b", recipe=f"environment:babble@{tmp_path}", seed=1, variant=0).faults
    assert fault.parameters["voices"] == len(json.loads(fault.parameters["files"])) == 2


@pytest.mark.parametrize("kind", sorted(KINDS_TABLE.keys() - {"environment"}))
def test_every_kind_can_be_asked_for(kind):
    assert {fault.kind for fault in draw_row("a", "b", recipe=kind, seed=1, variant=0).faults} == {kind}


def test_the_recipes_in_the_box_are_whole():
    assert load_recipe(str(TABLE_FILE)) == load_recipe("audiobuff")
    assert load_recipe("audiobuff").num_faults == pytest.approx((0.15, 0.35, 0.25, 0.15, 0.10))


@pytest.mark.parametrize("name", ["corpus/box.toml", "benchmarks/recipes/untidy.toml"])
def test_the_recipes_of_scripts_are_whole_and_damage(name):
    path = str(Path(__file__).parents[3] / name)
    rows = [draw_row("track", f"hash{number}", recipe=path, seed=1, variant=0) for number in range(60)]
    kinds = {fault.kind for row in rows for fault in row.faults}
    assert kinds <= {entry.kind for entry in load_recipe(path).entries}
    assert len(kinds) > 8


def test_laws_draw_what_they_say():
    generator = np.random.default_rng(1)

    def drawn(given, number=500):
        distribution, problem = parse_distribution(given)
        assert problem == ""
        return [distribution.draw(generator) for _ in range(number)]

    assert set(drawn("word")) == {"word"}
    assert set(drawn({"integer": [2, 4]})) == {2, 3, 4}
    values = drawn({"log_uniform": [1, 100]})
    assert min(values) >= 1
    assert max(values) <= 100
    assert np.median(values) == pytest.approx(10, rel=0.4)
    signed = drawn({"uniform": [1, 2], "signed": True})
    assert np.mean(np.array(signed) < 0) == pytest.approx(0.5, abs=0.1)
    choices = drawn({"choice": ["a", 3], "weights": [1, 3]})
    assert choices.count(3) / len(choices) == pytest.approx(0.75, abs=0.1)
