"""`audiobuff restore`: folders, patterns, going on, bad input in one line, and nothing lost."""

import ctypes
import json
import shutil
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile

from audiobuff_assets import cli
from audiobuff_core.errors import OutputNotWritable
from audiobuff_core.evaluation.pointers import write_pointer

RATE = 16_000


@pytest.fixture(scope="module")
def model(export):
    return ["--checkpoint", str(export)]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def music(seconds=0.3, channels=1, seed=1):
    return 0.1 * np.random.default_rng(seed).standard_normal((int(seconds * RATE), channels))


def write(path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, music(**options), RATE, subtype="PCM_16")
    return path


def restore(*arguments):
    return cli.main(["restore", *map(str, arguments)])


def test_one_file_to_a_file(here, model, capsys):
    write(here / "Tonbänder Ω.wav")
    assert restore("Tonbänder Ω.wav", "-o", "new/out.wav", *model) == 0
    assert soundfile.info("new/out.wav").frames == soundfile.info("Tonbänder Ω.wav").frames
    said = capsys.readouterr().out
    assert said.startswith(f"Model: as named, {model[1]} (")
    assert "1 restored, 0 done before, 0 failed" in said
    report = json.loads((here / "new" / "out.wav.json").read_text())
    assert (report["model_place"], report["model_choice"]) == (model[1], "named")


def test_folders_files_and_patterns_go_to_a_folder_and_only_once(here, model, capsys):
    for name in ("a/one.wav", "a/deep/one.flac", "b/two.wav", "b/x.txt", "c.wav"):
        write(here / name) if not name.endswith("txt") else (here / name).write_text("no audio, no matter")
    given = ["a", "b/*.wav", "c.wav", "-o", "out", *model]
    assert restore(*given) == 0
    made = sorted(str(path.relative_to(here / "out")) for path in (here / "out").rglob("*.*") if path.suffix != ".json")
    assert made == ["c.wav", "deep/one.flac", "one.wav", "two.wav"]
    before = {path: path.stat().st_mtime_ns for path in (here / "out").rglob("*.wav")}
    assert restore(*given) == 0
    assert "0 restored, 4 done before" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in (here / "out").rglob("*.wav")}
    (here / "out" / "c.wav").write_bytes(b"broken")  # changed since
    (here / "out" / "two.wav.json").unlink()  # killed before it was written
    write(here / "a" / "one.wav", seed=2)  # another recording by now
    assert restore(*given) == 0
    assert "3 restored, 1 done before" in capsys.readouterr().out
    assert restore(*given, "--seed", "8") == 0
    assert "4 restored, 0 done before" in capsys.readouterr().out


def test_a_bad_file_is_one_line_and_the_others_are_done(here, model, capsys):
    write(here / "in" / "good.wav")
    (here / "in" / "text.wav").write_text("hello")
    (here / "in" / "empty.wav").write_bytes(b"")
    (here / "in" / "cut.wav").write_bytes((here / "in" / "good.wav").read_bytes()[:3000])
    soundfile.write(here / "in" / "one.wav", np.zeros(1), RATE)
    soundfile.write(here / "in" / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    assert restore("in", "missing.wav", "-o", "out", *model) == 1
    said = capsys.readouterr()
    errors = said.err.splitlines()
    assert len(errors) == 6
    for name, reason in {
        "cut.wav": "cut off", "empty.wav": "0 bytes", "nan.wav": "NaN", "one.wav": "at least 0.05 s",
        "text.wav": "not audio", "missing.wav": "no such file",
    }.items():  # fmt: skip
        assert any(name in line and reason in line for line in errors), (name, errors)
    assert "1 restored, 0 done before, 6 failed" in said.out
    assert sorted(path.name for path in (here / "out").iterdir()) == ["good.wav", "good.wav.json"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["in.wav", "-o", "in.wav"], "never overwritten|is an input"), (["empty", "-o", "out"], "No recordings below"),
        (["*.ogg", "-o", "out"], "No recording matches"), (["in.wav", "b/in.wav", "-o", "out"], "both go to"),
        (["in.wav", "b/in.wav", "-o", "b/in.wav"], "name a folder"),
        (["in.wav", "b/in.wav", "-o", "new.wav"], "name a folder"),
        (["b", "-o", "new.flac"], "name a folder"),
        (["in.wav", "-o", "out.wav", "--tau", "3"], "tau 3"),
        (["in.wav", "-o", "out.wav", "--strength", "-1"], "strength -1"), (["b", "-o", "b"], "is an input"),
        (["in.wav", "-o", "out.wav", "--device", "gpu9"], "--device gpu9"),
        (["in.wav", "-o", "out.wav", "--sway", "2"], "sway 2.0 (expected -1 to 1.75)"),
        (["in.wav", "-o", "out.wav", "--cfg-interval", "0.5", "0.5"], "cfg_interval (0.5, 0.5)"),
        (["in.removed.wav", "-o", "in.wav", "--delta"], "in the way of in.removed.wav"),
        (["in.wav", "in.flac", "-o", "out", "--delta"], "in the way of in.wav"),
        (["in.wav", "in.removed.wav", "-o", "out", "--delta"], "in the way of in.removed.wav"),
        (["in.wav", "-o", "out.wav", "--without", "hum,hiss"], "--without hiss: expected any of network, gaps"),
    ],
)  # fmt: skip
def test_bad_requests_are_one_line_and_leave_nothing(here, model, capsys, arguments, reason):
    for name in ("in.wav", "in.flac", "in.removed.wav"):
        write(here / name)
    write(here / "b" / "in.wav", seed=2)
    (here / "empty").mkdir()
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert restore(*arguments, *model) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert any(part in said for part in reason.split("|"))
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_a_stretch_that_is_absent_and_wrong_words_are_refused(here, model, capsys):
    write(here / "in.wav")
    assert restore("in.wav", "-o", "out.wav", "--only", "5-6", *model) == 1
    assert "ends at 0.300 s" in capsys.readouterr().err
    for wrong in (["--only", "6-5"], ["--only", "0-inf"], ["--only", "now"], ["--channels", "0"], ["--preset", "slow"]):
        with pytest.raises(SystemExit) as left:
            restore("in.wav", "-o", "out.wav", *wrong, *model)
        assert left.value.code == 2
    assert not (here / "out.wav").exists()


def test_a_leading_dash_needs_two(here, model, capsys):
    write(here / "-in.wav")
    with pytest.raises(SystemExit):
        restore("-in.wav", "-o", "out.wav", *model)
    (said,) = capsys.readouterr().err.splitlines()
    assert "after `--`: `-- -in.wav`" in said
    assert restore("-o", "out.wav", *model, "--", "-in.wav") == 0
    assert (here / "out.wav").exists()


def test_a_dry_run_writes_nothing(here, model, capsys):
    write(here / "in.wav", channels=2)
    assert restore("in.wav", "-o", "out.wav", "--dry-run", *model) == 0
    assert "16000 Hz, 2 channel(s), PCM_16, to out.wav" in capsys.readouterr().out
    assert [path.name for path in here.iterdir()] == ["in.wav"]


@pytest.mark.parametrize("dry", [["--dry-run"], []])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-o", "out.wav", "--only", "5-6"], "ends at 0.300 s"), (["-o", "out.wav", "--channels", "2"], "has 1"),
        (["-o", "out.wav", "--keep-below", "8000"], "less than half of the rate"), (["-o", "out.wma"], "has format"),
        (["-o", "in.wav"], "never overwritten"),
    ],
)  # fmt: skip
def test_what_would_fail_is_told_before_anything_is_done(here, model, capsys, monkeypatch, options, reason, dry):
    monkeypatch.setattr("audiobuff_core.inference.restore_file.restore_recording", lambda *_, **__: pytest.fail("late"))
    write(here / "in.wav")
    assert restore("in.wav", *options, *dry, *model) == 1
    assert reason in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["in.wav"]


def test_difference_and_picture_are_written_beside(here, model):
    write(here / "in.wav")
    assert restore("in.wav", "-o", "out.wav", "--delta", "--spectrogram", "--only", "0.1-0.2", *model) == 0
    assert sorted(path.name for path in here.iterdir()) == [
        "in.wav", "out.removed.wav", "out.wav", "out.wav.json", "out.wav.png"
    ]  # fmt: skip
    assert restore("in.wav", "-o", "out.wav", *model) == 0


def test_without_a_named_model_the_one_in_the_box_restores(here, capsys):
    write(here / "in.wav")
    assert restore("in.wav", "-o", "out.wav") == 0
    said = capsys.readouterr().out
    assert said.startswith("Model: the one in the box, ")
    assert "builtin_model (profile builtin)" in said
    report = json.loads((here / "out.wav.json").read_text())
    assert report["model_place"].endswith("builtin_model")
    assert report["model_choice"] == "builtin"


def test_options_that_change_nothing_are_said_to(here, capsys):
    write(here / "in.wav")
    for given, note in (
        (["--steps", "3", "--cfg-structure", "2"], "--steps, --cfg-structure without effect"),
        ([], ""),
    ):
        assert restore("in.wav", "-o", "out.wav", "--dry-run", *given) == 0
        notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Note")]
        assert [line.startswith(f"Note: {note}") for line in notes] == [True] * bool(note)


def test_without_a_named_model_the_champion_goes_before_the_one_in_the_box(here, export, capsys, monkeypatch):
    root = here / "root"
    monkeypatch.setenv("AUDIOBUFF_ROOT", str(root))
    shutil.copytree(export, root / "checkpoints" / "best")
    write_pointer(str(root), "champion", {"checkpoint": "best", "weights_sha256": "0", "metrics": {}})
    write(here / "in.wav")
    assert restore("in.wav", "-o", "out.wav") == 0
    assert capsys.readouterr().out.startswith(f"Model: the champion here, {root / 'checkpoints' / 'best'} (")
    assert json.loads((here / "out.wav.json").read_text())["model_choice"] == "champion"


def test_a_box_without_a_model_names_the_ways_out(here, capsys, monkeypatch):
    write(here / "in.wav")
    monkeypatch.setattr("audiobuff_core.inference.in_the_box.BUILTIN_MODEL", "nonesuch")
    assert restore("in.wav", "-o", "out.wav") == 1
    said = capsys.readouterr().err
    assert "--checkpoint" in said
    assert "audiobuff demo" in said


def test_no_right_to_write_is_one_line(here, model, capsys):
    write(here / "in.wav")
    (here / "file").write_text("in the way")
    assert restore("in.wav", "-o", "file/out.wav", *model) == 1
    assert "Can't write" in capsys.readouterr().err


@contextmanager
def without_rights():
    """As a user whom permissions bind: root without the capabilities to pass over them; nothing for any other user."""
    libc = ctypes.CDLL(None, use_errno=True)
    head, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(head, data) == 0
    before = data[0]
    data[0] = before & ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert libc.capset(head, data) == 0
    try:
        yield
    finally:
        data[0] = before
        assert libc.capset(head, data) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_what_may_not_be_read_or_written_is_a_line_each_and_the_others_are_done(here, model, capsys):
    for name in ("good.wav", "in/closed.wav", "in/folder/inside.wav"):
        write(here / name)
    (here / "readonly").mkdir()
    modes = {"in/closed.wav": 0, "in/folder": 0, "readonly": 0o555}
    for name, mode in modes.items():
        (here / name).chmod(mode)
    try:
        with without_rights():
            codes = [restore("in", "good.wav", "-o", "out", *model)]
            codes += [restore("good.wav", "-o", "readonly/o.wav", *model)]
    finally:
        for name in modes:
            (here / name).chmod(0o755)
    errors = capsys.readouterr().err.splitlines()
    assert codes == [1, 1]
    reasons = {"closed.wav": "can't be read", "in/folder": "can't be read", "readonly/o.wav": "Can't write"}
    for name, reason in reasons.items():
        assert any(name in line and reason in line for line in errors), (name, errors)
    assert len(errors) == 3
    assert sorted(one.name for one in (here / "out").iterdir()) == ["good.wav", "good.wav.json"]
    assert not list((here / "readonly").iterdir())


def test_names_that_hold_nothing_fail_and_the_others_are_done(here, model, capsys):
    write(here / "a\nb.wav")
    (here / "empty").mkdir()
    assert restore("empty", "*.ogg", "a\nb.wav", "-o", "out", *model) == 1
    said = capsys.readouterr()
    assert [line.split(": ")[0] for line in said.err.splitlines()] == ["error"] * 2
    assert said.out.splitlines()[-2:] == [
        "[1/1] a\\nb.wav: nothing to change, copied to out/a\\nb.wav", "1 restored, 0 done before, 2 failed"
    ]  # fmt: skip
    assert (here / "out" / "a\nb.wav").is_file()


def test_a_full_disk_leaves_nothing_half_written(here, changing_model, capsys):
    import resource
    import signal

    write(here / "in.wav", seconds=2.0)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        assert restore("in.wav", "-o", "out/out.wav", "--checkpoint", changing_model) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert "disk is full" in capsys.readouterr().err
    assert list((here / "out").iterdir()) == []


def test_a_difference_without_its_output_is_not_left(here, changing_model, capsys, monkeypatch):
    def full(*_):
        raise OutputNotWritable("the disk is full")

    monkeypatch.setattr("audiobuff_core.inference.restore_file.write_like", full)
    write(here / "in.wav")
    assert restore("in.wav", "-o", "out/out.wav", "--delta", "--checkpoint", changing_model) == 1
    assert "disk is full" in capsys.readouterr().err
    assert list((here / "out").iterdir()) == []
