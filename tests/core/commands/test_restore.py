"""`audiobuff restore`: folders, patterns, going on, the model that restores, and what is written."""

import json
import shutil

import soundfile
from recordings_to_restore import restore, write

from audiobuff_core.evaluation.pointers import write_pointer


def test_one_file_to_a_file(folder, model, capsys):
    write(folder / "Tonbänder Ω.wav")
    assert restore("Tonbänder Ω.wav", "-o", "new/out.wav", *model) == 0
    assert soundfile.info("new/out.wav").frames == soundfile.info("Tonbänder Ω.wav").frames
    said = capsys.readouterr().out
    assert said.startswith(f"Model: as named, {model[1]} (")
    assert "1 restored, 0 done before, 0 failed" in said
    report = json.loads((folder / "new" / "out.wav.json").read_text())
    assert (report["model_place"], report["model_choice"]) == (model[1], "named")


def test_folders_files_and_patterns_go_to_a_folder_and_only_once(folder, model, capsys):
    for name in ("a/one.wav", "a/deep/one.flac", "b/two.wav", "b/x.txt", "c.wav"):
        write(folder / name) if not name.endswith("txt") else (folder / name).write_text("no audio, no matter")
    given = ["a", "b/*.wav", "c.wav", "-o", "out", *model]
    assert restore(*given) == 0
    made = sorted(
        str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*.*") if path.suffix != ".json"
    )
    assert made == ["c.wav", "deep/one.flac", "one.wav", "two.wav"]
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*.wav")}
    assert restore(*given) == 0
    assert "0 restored, 4 done before" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*.wav")}
    (folder / "out" / "c.wav").write_bytes(b"broken")  # changed since
    (folder / "out" / "two.wav.json").unlink()  # killed before it was written
    write(folder / "a" / "one.wav", seed=2)  # another recording by now
    assert restore(*given) == 0
    assert "3 restored, 1 done before" in capsys.readouterr().out
    assert restore(*given, "--seed", "8") == 0
    assert "4 restored, 0 done before" in capsys.readouterr().out


def test_a_dry_run_writes_nothing(folder, model, capsys):
    write(folder / "in.wav", channels=2)
    assert restore("in.wav", "-o", "out.wav", "--dry-run", *model) == 0
    assert "16000 Hz, 2 channel(s), PCM_16, to out.wav" in capsys.readouterr().out
    assert [path.name for path in folder.iterdir()] == ["in.wav"]


def test_difference_and_picture_are_written_beside(folder, model):
    write(folder / "in.wav")
    assert restore("in.wav", "-o", "out.wav", "--delta", "--spectrogram", "--only", "0.1-0.2", *model) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "in.wav", "out.removed.wav", "out.wav", "out.wav.json", "out.wav.png"
    ]  # fmt: skip
    assert restore("in.wav", "-o", "out.wav", *model) == 0


def test_without_a_named_model_the_one_in_the_box_restores(folder, capsys):
    write(folder / "in.wav")
    assert restore("in.wav", "-o", "out.wav") == 0
    said = capsys.readouterr().out
    assert said.startswith("Model: the one in the box, ")
    assert "builtin_model (profile builtin)" in said
    report = json.loads((folder / "out.wav.json").read_text())
    assert report["model_place"].endswith("builtin_model")
    assert report["model_choice"] == "builtin"


def test_options_that_change_nothing_are_said_to(folder, capsys):
    write(folder / "in.wav")
    for given, note in (
        (["--steps", "3", "--cfg-structure", "2"], "--steps, --cfg-structure without effect"),
        ([], ""),
    ):
        assert restore("in.wav", "-o", "out.wav", "--dry-run", *given) == 0
        notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Note")]
        assert [line.startswith(f"Note: {note}") for line in notes] == [True] * bool(note)


def test_without_a_named_model_the_champion_goes_before_the_one_in_the_box(folder, export, capsys, monkeypatch):
    root = folder / "root"
    monkeypatch.setenv("AUDIOBUFF_ROOT", str(root))
    shutil.copytree(export, root / "checkpoints" / "best")
    write_pointer(str(root), "champion", {"checkpoint": "best", "weights_sha256": "0", "metrics": {}})
    write(folder / "in.wav")
    assert restore("in.wav", "-o", "out.wav") == 0
    assert capsys.readouterr().out.startswith(f"Model: the champion here, {root / 'checkpoints' / 'best'} (")
    assert json.loads((folder / "out.wav.json").read_text())["model_choice"] == "champion"
