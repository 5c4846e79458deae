"""Blind listening: equally loud, drawn from the seed, hidden from the listener, and read back as figures."""

import json
import math

import numpy as np
import pytest

from audiobuff_assets import cli
from audiobuff_core.audio.loudness import loudness_lufs
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.errors import AudioBuffError, DataMissing, InvalidAudio, InvalidConfig
from audiobuff_core.evaluation.evaluation import evaluate
from audiobuff_core.evaluation.listening.excerpts import ANCHOR, REFERENCE, excerpts_of, level_matched
from audiobuff_core.evaluation.listening.page import render_listening
from audiobuff_core.evaluation.listening.results import read_listening
from audiobuff_core.evaluation.listening.session import make_session
from audiobuff_core.evaluation.pairs import CEILING, FLOOR, System, pair_files

RATE = 16_000
NAMES = ("one", "two", "three")


def tone(index, noise=0.0, gain=1.0):
    generator = np.random.default_rng(index)
    times = np.arange(round(0.9 * RATE)) / RATE
    sound = 0.2 * np.sin(2 * math.pi * (200 + 150 * index) * times) * (1 + np.sin(2 * math.pi * 3 * times)) / 2
    return Waveform((gain * (sound + noise * generator.standard_normal(len(times))))[None].astype(np.float32), RATE)


@pytest.fixture
def folders(tmp_path):
    """Clean, damaged, and two systems: one nearly clean but far softer, one that does nothing."""
    for index, name in enumerate(NAMES):
        for folder, noise, gain in (("clean", 0, 1), ("damaged", 0.1, 1), ("ours", 0.01, 0.1), ("theirs", 0.1, 2.0)):
            write_audio(tmp_path / folder / f"{name}.wav", tone(index, noise, gain))
    return tmp_path


def systems_of(folders):
    return [System(name, folders / name) for name in ("ours", "theirs")]


def items_of(folders):
    return pair_files(folders / "clean", folders / "damaged", systems_of(folders))[0]


def session_of(folders, **more):
    wanted = {"listener": "anna", "seed": 1, "num_items": 3, "num_abx_items": 2, "seconds": 0.6} | more
    return make_session(items_of(folders), **wanted)


def test_all_versions_are_equally_loud_and_of_the_same_moment(folders):
    rows = excerpts_of(items_of(folders)[0], 0.6)
    assert list(rows) == [REFERENCE, ANCHOR, FLOOR, "ours", "theirs"]
    levels = [loudness_lufs(one) for one in rows.values()]
    assert max(levels) - min(levels) < 0.2
    assert {one.num_samples for one in rows.values()} == {round(0.6 * RATE)}
    assert max(float(np.abs(one.samples).max()) for one in rows.values()) <= 0.9 + 1e-6
    assert all(abs(float(one.samples[0, 0])) == 0.0 for one in rows.values())
    together = np.corrcoef(rows[REFERENCE].samples[0], rows["ours"].samples[0])[0, 1]
    assert together > 0.95


def test_anchor_has_nothing_above_3500_hz(folders):
    path = folders / "clean" / "one.wav"
    write_audio(path, Waveform(np.random.default_rng(0).standard_normal((1, RATE)).astype(np.float32) * 0.1, RATE))
    for name in ("damaged", "ours", "theirs"):
        write_audio(folders / name / "one.wav", read_audio(path))
    item = next(one for one in items_of(folders) if one.name == "one")
    power = np.square(np.abs(np.fft.rfft(excerpts_of(item, 1.0)[ANCHOR].samples[0])))
    hertz = np.fft.rfftfreq(RATE, 1 / RATE)
    assert power[hertz > 5000].mean() < 1e-3 * power[hertz < 3000].mean()


def test_silence_and_what_is_under_a_block_of_loudness_are_no_obstacle():
    short = Waveform(np.full((1, 100), 0.5, np.float32), RATE)
    made = level_matched({REFERENCE: short, "ours": short.scaled(0.25), "silent": short.scaled(0.0)})
    assert np.allclose(made["ours"].samples, made[REFERENCE].samples)
    assert not made["silent"].samples.any()


def test_the_seed_and_the_listener_decide_the_order(folders):
    first, again = session_of(folders), session_of(folders)
    assert first.key() == again.key()
    other = session_of(folders, listener="bert")
    assert first.id != other.id
    orders = [
        [[stimulus.row for stimulus in trial.stimuli] for trial in session_of(folders, listener=name).ratings]
        for name in ("anna", "bert", "cara", "dora")
    ]
    assert any(one != orders[0] for one in orders[1:])
    assert all(sorted(rows) == sorted([REFERENCE, ANCHOR, FLOOR, "ours", "theirs"]) for rows in orders[0])


def test_x_is_one_of_the_two_and_the_clean_one_is_on_either_side(folders):
    trials = [trial for name in "abcdefgh" for trial in session_of(folders, listener=name).abx]
    assert {trial.row for trial in trials} == {FLOOR, "ours", "theirs"}
    assert {trial.x_is for trial in trials} == {"A", "B"}
    for trial in trials:
        assert np.array_equal(trial.x.samples, {"A": trial.a, "B": trial.b}[trial.x_is].samples)
    clean = session_of(folders).ratings
    heard = {trial.item: trial.reference.samples for trial in clean}
    assert {np.array_equal(trial.a.samples, heard[trial.item]) for trial in session_of(folders).abx} == {True, False}


def test_the_page_names_nothing(folders):
    text = render_listening(session_of(folders))
    for word in ("ours", "theirs", "damaged", "degraded", *(f'"{name}"' for name in NAMES), '"reference":true'):
        assert word not in text
    assert "http" not in text.replace("http://www.w3.org", "")


def answers(session, scores, right=True, listener="anna"):
    """What the page saves, where every row gets its score and X is told or not."""
    turned = {"A": "B", "B": "A"}
    return {
        "schema": "audiobuff-listening/1", "session": session.id, "listener": listener, "finished_at": "2026-01-01",
        "ratings": [
            {"trial": trial.id, "scores": {one.id: scores[one.row] for one in trial.stimuli}}
            for trial in session.ratings
        ],
        "abx": [{"trial": one.id, "said": one.x_is if right else turned[one.x_is]} for one in session.abx],
    }  # fmt: skip


SCORES = {REFERENCE: 100, ANCHOR: 20, FLOOR: 40, "ours": 80, "theirs": 30}


def leave(folder, session, results, name="anna"):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.key.json").write_text(json.dumps(session.key()))
    (folder / f"{name}.results.json").write_text(json.dumps(results))


def test_answers_join_the_table_with_intervals(folders):
    session = session_of(folders)
    leave(folders / "heard", session, answers(session, SCORES))
    bert = session_of(folders, listener="bert")
    leave(folders / "heard", bert, answers(bert, SCORES | {"ours": 90}, right=False), "bert")
    made = evaluate(
        folders / "clean", folders / "damaged", systems_of(folders), metrics=["si_sdr_db"], processes=1,
        listening=[folders / "heard"],
    )  # fmt: skip
    table = made.scores["all"]
    assert [metric.name for metric in made.metrics] == ["si_sdr_db", "mushra", "abx_share"]
    assert table["ours"]["mushra"].mean.mean == 85
    assert table[CEILING]["mushra"].mean.mean == 100
    assert table["ours"]["mushra"].gain.mean == 45
    assert table["ours"]["mushra"].gain.num_values == 3
    assert table["ours"]["mushra"].closed.mean == pytest.approx(0.75)
    assert table["theirs"]["mushra"].gain.mean == -10
    assert table["ours"]["abx_share"].mean.mean == 0.5
    assert table["ours"]["abx_share"].mean.num_values == 2
    assert "by 2 listeners" in made.metrics[1].about
    assert "anchor got 20" in made.metrics[1].about
    not_heard = [item for item in made.items if "abx_share" not in item.rows["ours"]]
    assert [item.gaps["ours"]["abx_share"] for item in not_heard] == ["it was not listened to"]
    assert json.loads(json.dumps(made.as_dict()))["items"][0]["files"]["ours"].endswith(".wav")


def test_who_misses_the_hidden_reference_is_left_out_by_name(folders):
    session = session_of(folders)
    leave(folders / "heard", session, answers(session, SCORES | {REFERENCE: 70}))
    heard = read_listening([folders / "heard"])
    assert heard.ratings == {}
    assert len(heard.abx) == 2
    (problem,) = heard.problems
    assert problem.item == "anna"
    assert "under 90 in 3 of 3 trials" in problem.reason


def test_answers_about_other_items_are_named(folders):
    session = session_of(folders)
    leave(folders / "heard", session, answers(session, SCORES))
    for name in ("clean", "damaged", "ours", "theirs"):
        (folders / name / "one.wav").unlink()
    made = evaluate(
        folders / "clean", folders / "damaged", systems_of(folders), metrics=["si_sdr_db"], processes=1,
        listening=[folders / "heard" / "anna.results.json"],
    )  # fmt: skip
    assert [(one.item, one.what) for one in made.problems] == [("one", "unpaired")]
    assert made.scores["all"]["ours"]["mushra"].mean.num_values == 2


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "anna.key.json").unlink(), "No key of session"),
        (lambda folder: (folder / "anna.results.json").unlink(), "No \\*.results.json"),
        (lambda folder: (folder / "anna.results.json").write_text("{}"), "no results of schema"),
        (
            lambda folder: (folder / "anna.results.json").write_text(
                (folder / "anna.results.json").read_text().replace('"scores": {"', '"scores": {"0')
            ),
            "does not know",
        ),
    ],
)
def test_results_that_can_not_be_read_are_one_error(folders, spoil, says):
    session = session_of(folders)
    leave(folders / "heard", session, answers(session, SCORES))
    spoil(folders / "heard")
    with pytest.raises(DataMissing, match=says):
        read_listening([folders / "heard"])


def test_a_file_without_its_counterparts_is_named(folders, capsys):
    (folders / "ours" / "one.wav").unlink()
    named = ["--clean", folders / "clean", "--degraded", folders / "damaged", "--restored", f"ours={folders / 'ours'}"]
    assert cli.main(["listen", str(folders / "page"), *map(str, named), "--seconds", "0.3"]) == 0
    told = capsys.readouterr()
    assert "left out: one (clean): unpaired: no ours file of this name" in told.err
    assert "2 recordings to rate" in told.out


def test_bad_folders_and_options(folders, capsys):
    write_audio(folders / "ours" / "one.wav", Waveform(np.zeros((1, 5), np.float32), RATE))
    with pytest.raises(InvalidAudio, match="expected"):
        session_of(folders)
    with pytest.raises(InvalidConfig, match="at least one item"):
        make_session([], listener="a", seed=1, num_items=1, num_abx_items=0, seconds=1.0)
    page = str(folders / "page")
    for arguments in (["--clean", str(folders)], ["--listener", "a/b"], []):
        assert cli.main(["listen", page, *arguments]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert ["together" in errors[0], "letters" in errors[1], "run audiobuff evaluate --out" in errors[2]] == [True] * 3
    assert issubclass(DataMissing, AudioBuffError)
