import json
import shutil

import pytest
from evaluated_folders import clean_sound, make_folders, write

from audiobuff_assets.cli import main


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    place = tmp_path_factory.mktemp("folders")
    make_folders(place)
    return place


@pytest.fixture
def folders(untouched, tmp_path, monkeypatch):
    shutil.copytree(untouched, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


FOLDERS = ["evaluate", "--clean", "clean", "--degraded", "degraded", "--processes", "1"]
CHEAP = ["--metrics", "si_sdr_db,lsd_db"]


def test_two_systems_give_a_table_and_files(folders, capsys):
    assert main([*FOLDERS, *CHEAP, "--restored", "half=half", "--restored", "same=same", "--speed", "same=50"]) == 0
    printed = capsys.readouterr().out
    assert "7 items measured; in brackets the gain over degraded" in printed
    (row,) = [line for line in printed.splitlines() if line.startswith("half ")]
    assert "(+6.0" in row
    assert row.endswith(" 10x")
    content = json.loads((folders / "evaluation" / "evaluation.json").read_text())
    assert content["counts"]["measured"] == 7
    for name in ("table.csv", "items.csv"):
        assert (folders / "evaluation" / name).read_text().startswith(("kind,row,metric", "item,kinds,row"))
    page = (folders / "evaluation" / "report.html").read_text()
    assert "half is better than the damaged input" in page
    players = page.count("<audio ")  # clean, damaged and both systems of the best, the middle, and the worst of a kind
    assert players >= 12
    assert players % 4 == 0


def test_the_same_command_again_measures_nothing_and_says_the_same(folders, capsys, monkeypatch):
    command = [*FOLDERS, *CHEAP, "--restored", "half=half"]
    assert main(command) == 0
    printed, table = capsys.readouterr().out, (folders / "evaluation" / "items.csv").read_text()
    monkeypatch.setattr("audiobuff_core.evaluation.measured_items.value_or_reason", None)
    assert main(command) == 0
    assert capsys.readouterr().out == printed
    assert (folders / "evaluation" / "items.csv").read_text() == table


def test_what_is_left_out_is_named_and_the_exit_code_says_so(folders, capsys):
    write(folders / "half" / "item_1.wav", clean_sound(1)[:-3])
    (folders / "half" / "item_2.wav").unlink()
    assert main([*FOLDERS, "--metrics", "si_sdr_db", "--restored", "half=half", "--out", "out"]) == 1
    printed = capsys.readouterr()
    assert "left out: item_1 (half): other format: 12797 samples, the clean one has 12800" in printed.err
    assert "left out: item_2 (clean): unpaired: no half file of this name" in printed.err
    assert "5 items measured, 1 left out, 1 unpaired" in printed.out
    assert "12797 samples" in (folders / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "expected --clean DIR; expected --restored NAME=DIR, or --model M to restore with"),
        (["--clean", "clean", "--degraded", "degraded"], "expected --restored NAME=DIR, or --model"),
        (["--clean", "clean", "--restored", "a=b"], "expected --degraded DIR"),
        (["--clean", "clean", "--model", "m", "--degraded", "d", "--recipe", "r"], "does not go with --degraded"),
        (["--clean", "clean", "--model", "m", "--restored", "a=b"], "name it with --degraded"),
        ([*FOLDERS[1:], "--restored", "half=half", "--speed", "other=3"], "--speed of other"),
        ([*FOLDERS[1:], "--restored", "half=half", "--metrics", "beauty"], "No metric is called beauty"),
        ([*FOLDERS[1:], "--restored", "half=nowhere"], "No folder nowhere"),
        ([*FOLDERS[1:], "--restored", "half=half", "--kinds", "no.csv"], "No table of kinds at no.csv"),
    ],
)
def test_options_that_make_no_sense_are_one_line(folders, capsys, arguments, told):
    assert main(["evaluate", *arguments]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_wrong_pairs_of_name_and_value_are_wrong_usage(capsys):
    for arguments in (["--restored", "half"], ["--speed", "half=fast"], ["--speed", "half=-1"]):
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", *arguments])
        assert ended.value.code == 2
        assert "expected NAME=" in capsys.readouterr().err


def test_every_metric_is_listed_with_what_it_is(capsys):
    assert main(["evaluate", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("zimtohrli") and "lower is better" in line for line in lines)
    assert len(lines) == len({line.split()[0] for line in lines}) > 20


def test_a_model_is_measured_on_damage_that_is_done_too(folders, export, capsys):
    for index in range(2, 7):
        (folders / "clean" / f"{'more/' if index == 6 else ''}item_{index}.wav").unlink()
    arguments = ["evaluate", "--model", str(export), "--recipe", "clean", "--clean", "clean", "--out", "out", *CHEAP]
    assert main([*arguments, "--processes", "1"]) == 0
    content = json.loads((folders / "out" / "evaluation.json").read_text())
    (system,) = content["systems"]
    assert system["speed"] > 0
    assert system["note"].startswith("checkpoint ")
    assert content["counts"]["by_kind"] == {"all": 2, "clean": 2}
    assert content["table"]["all"]["degraded"]["lsd_db"]["mean"]["mean"] == 0
    before = (folders / "out" / "degraded" / "item_0.wav").stat().st_mtime_ns
    capsys.readouterr()
    assert main([*arguments, "--processes", "1"]) == 0
    assert "0 restored, 2 done before" in capsys.readouterr().out
    assert (folders / "out" / "degraded" / "item_0.wav").stat().st_mtime_ns == before
