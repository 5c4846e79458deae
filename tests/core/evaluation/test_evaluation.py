import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from evaluated_folders import CHEAP, NUM_ITEMS, RATE, clean_sound, hiss, make_folders, write

from audiobuff_core.errors import AudioNotFound, DataMissing, InvalidConfig, MetricUnavailable
from audiobuff_core.evaluation.evaluation import evaluate
from audiobuff_core.evaluation.metrics.registry import METRICS
from audiobuff_core.evaluation.pairs import System, read_kinds
from audiobuff_core.evaluation.tables_csv import items_csv, table_csv
from audiobuff_core.files import write_json


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """Folders that no test changes."""
    place = tmp_path_factory.mktemp("folders")
    make_folders(place)
    return place


@pytest.fixture(scope="module")
def found(untouched):
    return measured(untouched)


@pytest.fixture
def folders(untouched, tmp_path):
    shutil.copytree(untouched, tmp_path, dirs_exist_ok=True)
    return tmp_path


def measured(place, systems=("half", "same"), **options):
    named = [System(name, place / name) for name in systems]
    options = {"metrics": CHEAP, "processes": 1, **options}
    return evaluate(place / "clean", place / "degraded", named, **options)


def named_problems(found):
    return {(problem.item, problem.row, problem.what): problem.reason for problem in found.problems}


def test_the_table_stands_between_floor_and_ceiling(found):
    assert found.rows == ["degraded", "half", "same", "ceiling"]
    assert found.problems == ()
    scores = found.scores["all"]
    half = scores["half"]["si_sdr_db"]
    assert half.gain.mean == pytest.approx(20 * math.log10(2), abs=0.02)
    assert half.gain.low <= half.gain.mean <= half.gain.high
    assert half.gain.excludes_zero
    assert half.worse_share == 0
    gap = scores["ceiling"]["si_sdr_db"].mean.mean - scores["degraded"]["si_sdr_db"].mean.mean
    assert half.closed.mean == pytest.approx(half.gain.mean / gap, abs=1e-6)
    assert scores["ceiling"]["si_sdr_db"].mean.mean == 30
    assert scores["degraded"]["si_sdr_db"].gain is None
    assert scores["same"]["lsd_db"].gain.mean == pytest.approx(0, abs=0.05)
    assert abs(scores["same"]["lsd_db"].closed.mean) < 0.01
    assert scores["half"]["lsd_db"].mean.num_values == NUM_ITEMS


def test_systems_are_compared_with_each_other_by_item(found):
    (si_sdr, *_) = found.as_dict()["differences"]
    assert (si_sdr["metric"], si_sdr["system"], si_sdr["over"]) == ("si_sdr_db", "half", "same")
    assert si_sdr["gain"]["mean"] == pytest.approx(6.02, abs=0.05)
    assert si_sdr["gain"]["excludes_zero"]


def test_kinds_come_from_the_rows_that_degrade_wrote(found):
    assert {kind: len(items) for kind, items in found.kinds.items()} == {"all": NUM_ITEMS, "hum": 2, "noise": NUM_ITEMS}
    assert found.scores["hum"]["half"]["si_sdr_db"].mean.num_values == 2
    assert not found.scores["hum"]["half"]["si_sdr_db"].gain.excludes_zero  # two items decide nothing
    assert found.items[0].item.damage == "noise (snr db 3); hum (hertz 50)"


@pytest.mark.parametrize(("target", "expected_db"), [("scaled", 0.0), ("kept", 14.0)])
def test_a_level_that_is_no_fault_is_not_to_be_undone(tmp_path, target, expected_db):
    fault = {"kind": "level", "parameters": {"gain": 0.2, "jitter_db": 0.0, "target": target}}
    row = {"track_id": "a", "audio_hash": "", "variant": 0, "recipe": "audiobuff", "seed": 1, "faults": [fault]}
    write(tmp_path / "clean" / "a.wav", clean_sound(0))
    for folder in ("degraded", "same"):
        write(tmp_path / folder / "a.wav", 0.1 * clean_sound(0))
    write_json(tmp_path / "degraded" / "a.wav.json", {"row": row, "output_gain": 0.5})
    rows = measured(tmp_path, systems=("same",)).items[0].rows
    # Half of the level is lost to the format of the file, which nobody is to give back.
    assert rows["same"]["lsd_db"] == pytest.approx(expected_db, abs=2.0)


def test_a_table_of_kinds_replaces_the_rows(folders):
    (folders / "kinds.json").write_text(
        json.dumps({"item_0.wav": "voice", "item_1": ["voice", "song"], "item_9": "song"})
    )
    (folders / "kinds.csv").write_text("\ufeffname,kind\nitem_0.wav,voice\nitem_1,voice+song\nitem_9,song\n")
    for name in ("kinds.json", "kinds.csv"):
        found = measured(folders, kinds=read_kinds(folders / name), metrics=["si_sdr_db"])
        assert {kind: len(items) for kind, items in found.kinds.items()} == {"all": NUM_ITEMS, "song": 1, "voice": 2}
        told = {problem.item: problem.reason for problem in found.problems if problem.row == "kinds"}
        assert told.pop("item_9") == "the table of kinds names it: there is no such item"
        assert set(told) == {item.item.name for item in found.items} - {"item_0", "item_1"}
    (folders / "kinds.csv").write_text("file,sort\na,b\n")
    with pytest.raises(DataMissing, match=r"expected JSON .* or CSV with the columns name and kind"):
        read_kinds(folders / "kinds.csv")


def test_the_worst_item_of_each_kind_is_named(folders):
    write(folders / "half" / "item_3.wav", clean_sound(3) + 2 * hiss(3))
    found = measured(folders)
    worst = {(one.kind, one.system, one.metric): one for one in found.worst}[("noise", "half", "si_sdr_db")]
    assert worst.item == "item_3"
    assert worst.gain == pytest.approx(-6, abs=0.1)
    assert found.scores["all"]["half"]["si_sdr_db"].worse_share == pytest.approx(1 / NUM_ITEMS)


def test_speeds_come_from_the_reports_or_from_the_user(folders):
    found = measured(folders, speeds={"same": 100.0}, metrics=["si_sdr_db"])
    assert found.speeds == {"half": pytest.approx(10.0), "same": 100.0}
    (folders / "half" / "item_0.wav.json").unlink()
    assert measured(folders, metrics=["si_sdr_db"]).speeds == {}


def test_files_without_counterpart_are_named(folders):
    write(folders / "clean" / "alone.wav", clean_sound(0))
    write(folders / "half" / "stray.wav", clean_sound(0))
    (folders / "same" / "item_4.wav").unlink()
    found = measured(folders)
    assert named_problems(found) == {
        ("alone", "clean", "unpaired"): "no degraded and no half and no same file of this name",
        ("stray", "half", "unpaired"): "no clean and no degraded and no same file of this name",
        ("item_4", "clean", "unpaired"): "no same file of this name",
    }
    assert len(found.kinds["all"]) == NUM_ITEMS - 1
    assert found.as_dict()["counts"]["problems"] == {"unpaired": 3}


@pytest.mark.parametrize(("shift", "told"), [(37, "37 samples late"), (-777, "777 samples early")])
def test_a_shifted_file_is_left_out_and_says_by_how_much(folders, shift, told):
    late = np.roll(clean_sound(2) + hiss(2) / 10, shift)
    write(folders / "half" / "item_2.wav", late)
    found = measured(folders)
    assert told in named_problems(found)[("item_2", "half", "misaligned")]
    assert len(found.kinds["all"]) == NUM_ITEMS - 1
    assert found.scores["all"]["same"]["si_sdr_db"].mean.num_values == NUM_ITEMS - 1  # all rows are of the same items


def test_other_rates_channels_and_lengths_are_named(folders):
    clean = clean_sound(0)
    write(folders / "half" / "item_0.wav", clean, 8_000)
    write(folders / "half" / "item_1.wav", np.stack([clean_sound(1)] * 2))
    write(folders / "degraded" / "item_2.flac", clean_sound(2)[:-1])
    problems = named_problems(measured(folders))
    assert problems == {
        ("item_0", "half", "other format"): f"8000 Hz, the clean one has {RATE} Hz",
        ("item_1", "half", "other format"): "2 channels, the clean one has 1",
        ("item_2", "degraded", "other format"): "12799 samples, the clean one has 12800",
    }


def test_what_can_not_be_read_is_named(folders):
    broken = clean_sound(1)
    broken[100] = np.nan
    soundfile.write(folders / "half" / "item_1.wav", broken, RATE, subtype="FLOAT")
    (folders / "same" / "item_2.wav").write_bytes(b"")
    problems = named_problems(measured(folders))
    assert "1 NaN or infinite samples" in problems[("item_1", "half", "unreadable")]
    assert "is empty" in problems[("item_2", "same", "unreadable")]
    assert len(problems) == 2


def test_of_a_silent_reference_only_what_is_added_counts(folders):
    write(folders / "clean" / "item_5.wav", np.zeros(12_800))
    found = measured(folders)
    (problem,) = found.problems
    assert (problem.item, problem.what, problem.left_out) == ("item_5", "silent", False)
    counts = found.as_dict()["counts"]
    assert counts["measured"] == NUM_ITEMS
    assert counts["by_metric"]["si_sdr_db"]["num_items"] == NUM_ITEMS - 1
    assert counts["by_metric"]["si_sdr_db"]["reasons"] == {"the clean recording is silent": 1}
    assert found.scores["all"]["half"]["si_sdr_db"].mean.num_values == NUM_ITEMS - 1
    (silent,) = [item for item in found.items if item.item.name == "item_5"]
    assert silent.rows["same"]["silence_added_db"] > silent.rows["half"]["silence_added_db"] > 20


def test_a_metric_without_its_package_is_a_named_gap(folders, monkeypatch):
    lacking = replace(METRICS["lsd_db"], packages=("no_such_package",))
    monkeypatch.setitem(METRICS, "lsd_db", lacking)
    found = measured(folders, systems=["half"])
    assert "lsd_db" not in found.scores["all"]["half"]
    assert found.missing == {
        "lsd_db": "LSD lacks no_such_package: uv sync --extra metrics, or with pip what pyproject.toml lists for it"
    }
    assert found.as_dict()["missing"] == found.missing
    with pytest.raises(MetricUnavailable, match="LSD lacks no_such_package"):
        measured(folders, systems=["half"], metrics=["lsd_db"])


def test_nothing_to_measure_is_an_error(folders, tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(AudioNotFound, match=r"No audio in .*nothing \(nothing\)"):
        measured(folders, systems=["nothing"])
    write(tmp_path / "other" / "stranger.wav", clean_sound(0))
    with pytest.raises(AudioNotFound, match="No file name is in all of"):
        measured(folders, systems=["other"])
    for index in range(NUM_ITEMS):
        write(tmp_path / "wrong" / f"item_{index}.wav", clean_sound(index)[:-5])
    with pytest.raises(DataMissing, match=r"All 6 items had to be left out.*item_0 \(wrong\): 12795 samples"):
        measured(folders, systems=["wrong"])
    with pytest.raises(InvalidConfig, match="called degraded"):
        evaluate(folders / "clean", folders / "degraded", [System("degraded", folders / "half")])


def test_json_and_csv_say_the_same(found):
    content = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert content["systems"][0]["speed"] == pytest.approx(10)
    mean = content["table"]["all"]["half"]["lsd_db"]["mean"]["mean"]
    (line,) = [line for line in table_csv(found).splitlines() if line.startswith("all,half,lsd_db,")]
    assert float(line.split(",")[3]) == mean
    item = next(one for one in content["items"] if one["name"] == "item_3")
    (line,) = [line for line in items_csv(found).splitlines() if line.startswith("item_3,noise,half,si_sdr_db,")]
    assert float(line.split(",")[4]) == item["rows"]["half"]["si_sdr_db"]
    (line,) = [line for line in items_csv(found).splitlines() if line.startswith("item_0,noise+hum,same,silence")]
    assert line.endswith(",,the clean recording is nowhere silent")


@pytest.mark.slow
def test_in_processes_it_measures_the_same(folders):
    one, many = measured(folders, systems=["half"]), measured(folders, systems=["half"], processes=2)
    assert one.as_dict()["table"] == many.as_dict()["table"]
