"""`audiobuff champion`: the history, the way back, and that Dagster's lineage knows of it."""

import dagster as dg
import pytest

from audiobuff_assets import cli
from audiobuff_assets.champion import champion_place
from audiobuff_core.errors import CheckpointNotFound
from audiobuff_core.evaluation.pointers import read_pointer, remember, write_pointer
from audiobuff_core.files import join, write_json
from resources.currency import FINGERPRINT, latest_record, recorded
from resources.instance import open_instance, prepare_home

CHAMPION = dg.AssetKey(["model", "champion"])


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A Dagster home in which `old`, then `new` became champion."""
    for name in ("DAGSTER_HOME", "AUDIOBUFF_ROOT"):
        monkeypatch.setenv(name, "")
    home = prepare_home(tmp_path / "home")
    for name in ("DAGSTER_HOME", "AUDIOBUFF_ROOT"):
        monkeypatch.setenv(name, "")
    root = str(home / "data")
    for name, previous in (("old", None), ("new", "old")):
        content = {"checkpoint": name, "weights_sha256": f"weights of {name}", "metrics": {}}
        remember(root, {**content, "previous": previous, "reason": f"{name} was not worse."})
        write_pointer(root, "champion", content)
        write_json(join(root, "checkpoints", name, "config.json"), {"weights_sha256": f"weights of {name}"})
    return home


def test_one_command_rolls_back_and_lineage_knows(home, capsys):
    with open_instance(home) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(CHAMPION, metadata={FINGERPRINT: "inputs"}))
    assert cli.main(["champion", "--home", str(home), "--rollback", "--reason", "hiss"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[0] for line in lines] == [" ", " ", "*"]
    assert lines[-1].endswith("old: Rolled back from new: hiss")
    champion = read_pointer(str(home / "data"), "champion")
    assert champion.checkpoint == "old"
    with open_instance(home) as instance:
        assert recorded(instance, CHAMPION, None, "checkpoint") == "old"
        assert recorded(instance, CHAMPION, None, FINGERPRINT) == "inputs"
        materialization = latest_record(instance, CHAMPION, None).asset_materialization
        assert materialization.tags["dagster/data_version"] == champion.digest


def test_history_alone_changes_nothing(home, capsys):
    assert cli.main(["champion", "--home", str(home)]) == 0
    told = capsys.readouterr().out
    assert "new: new was not worse." in told
    assert read_pointer(str(home / "data"), "champion").checkpoint == "new"


def test_wrong_ways_are_one_line(home, capsys, tmp_path):
    assert cli.main(["champion", "--home", str(home), "--to", "old"]) == 1
    assert cli.main(["champion", "--home", str(home), "--rollback", "--to", "nonesuch"]) == 1
    assert cli.main(["champion", "--home", str(tmp_path / "empty"), "--rollback"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert "go with --rollback" in errors[0]
    assert "expected a champion of earlier, one of old" in errors[1]
    assert "never was a champion" in errors[2]
    assert cli.main(["champion", "--home", str(tmp_path / "empty")]) == 0


def test_history_is_of_the_champion_that_restores(home, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    home.rename(tmp_path / ".dagster")
    assert cli.main(["champion"]) == 0
    assert "new: new was not worse." in capsys.readouterr().out
    place = tmp_path / ".dagster" / "data" / "checkpoints" / "new"
    assert champion_place() == str(place)
    (place / "config.json").unlink()
    with pytest.raises(CheckpointNotFound, match=r"The champion is not at .*/checkpoints/new any more"):
        champion_place()
