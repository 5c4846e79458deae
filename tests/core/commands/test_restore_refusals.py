"""`audiobuff restore`: bad input in one line, nothing half written, and the others of the batch are done."""

import ctypes
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from recordings_to_restore import RATE, restore, write

from audiobuff_core.errors import OutputNotWritable


def test_a_bad_file_is_one_line_and_the_others_are_done(folder, model, capsys):
    write(folder / "in" / "good.wav")
    (folder / "in" / "text.wav").write_text("hello")
    (folder / "in" / "empty.wav").write_bytes(b"")
    (folder / "in" / "cut.wav").write_bytes((folder / "in" / "good.wav").read_bytes()[:3000])
    soundfile.write(folder / "in" / "one.wav", np.zeros(1), RATE)
    soundfile.write(folder / "in" / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
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
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["good.wav", "good.wav.json"]


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
def test_bad_requests_are_one_line_and_leave_nothing(folder, model, capsys, arguments, reason):
    for name in ("in.wav", "in.flac", "in.removed.wav"):
        write(folder / name)
    write(folder / "b" / "in.wav", seed=2)
    (folder / "empty").mkdir()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert restore(*arguments, *model) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert any(part in said for part in reason.split("|"))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_stretch_that_is_absent_and_wrong_words_are_refused(folder, model, capsys):
    write(folder / "in.wav")
    assert restore("in.wav", "-o", "out.wav", "--only", "5-6", *model) == 1
    assert "ends at 0.300 s" in capsys.readouterr().err
    for wrong in (["--only", "6-5"], ["--only", "0-inf"], ["--only", "now"], ["--channels", "0"], ["--preset", "slow"]):
        with pytest.raises(SystemExit) as left:
            restore("in.wav", "-o", "out.wav", *wrong, *model)
        assert left.value.code == 2
    assert not (folder / "out.wav").exists()


def test_a_leading_dash_needs_two(folder, model, capsys):
    write(folder / "-in.wav")
    with pytest.raises(SystemExit):
        restore("-in.wav", "-o", "out.wav", *model)
    (said,) = capsys.readouterr().err.splitlines()
    assert "after `--`: `-- -in.wav`" in said
    assert restore("-o", "out.wav", *model, "--", "-in.wav") == 0
    assert (folder / "out.wav").exists()


@pytest.mark.parametrize("dry", [["--dry-run"], []])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-o", "out.wav", "--only", "5-6"], "ends at 0.300 s"), (["-o", "out.wav", "--channels", "2"], "has 1"),
        (["-o", "out.wav", "--keep-below", "8000"], "less than half of the rate"), (["-o", "out.wma"], "has format"),
        (["-o", "in.wav"], "never overwritten"),
    ],
)  # fmt: skip
def test_what_would_fail_is_told_before_anything_is_done(folder, model, capsys, monkeypatch, options, reason, dry):
    monkeypatch.setattr("audiobuff_core.inference.restore_file.restore_recording", lambda *_, **__: pytest.fail("late"))
    write(folder / "in.wav")
    assert restore("in.wav", *options, *dry, *model) == 1
    assert reason in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["in.wav"]


def test_a_box_without_a_model_names_the_ways_out(folder, capsys, monkeypatch):
    write(folder / "in.wav")
    monkeypatch.setattr("audiobuff_core.inference.in_the_box.BUILTIN_MODEL", "nonesuch")
    assert restore("in.wav", "-o", "out.wav") == 1
    said = capsys.readouterr().err
    assert "--checkpoint" in said
    assert "audiobuff demo" in said


def test_no_right_to_write_is_one_line(folder, model, capsys):
    write(folder / "in.wav")
    (folder / "file").write_text("in the way")
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
def test_what_may_not_be_read_or_written_is_a_line_each_and_the_others_are_done(folder, model, capsys):
    for name in ("good.wav", "in/closed.wav", "in/folder/inside.wav"):
        write(folder / name)
    (folder / "readonly").mkdir()
    modes = {"in/closed.wav": 0, "in/folder": 0, "readonly": 0o555}
    for name, mode in modes.items():
        (folder / name).chmod(mode)
    try:
        with without_rights():
            codes = [restore("in", "good.wav", "-o", "out", *model)]
            codes += [restore("good.wav", "-o", "readonly/o.wav", *model)]
    finally:
        for name in modes:
            (folder / name).chmod(0o755)
    errors = capsys.readouterr().err.splitlines()
    assert codes == [1, 1]
    reasons = {"closed.wav": "can't be read", "in/folder": "can't be read", "readonly/o.wav": "Can't write"}
    for name, reason in reasons.items():
        assert any(name in line and reason in line for line in errors), (name, errors)
    assert len(errors) == 3
    assert sorted(one.name for one in (folder / "out").iterdir()) == ["good.wav", "good.wav.json"]
    assert not list((folder / "readonly").iterdir())


def test_names_that_hold_nothing_fail_and_the_others_are_done(folder, model, capsys):
    write(folder / "a\nb.wav")
    (folder / "empty").mkdir()
    assert restore("empty", "*.ogg", "a\nb.wav", "-o", "out", *model) == 1
    said = capsys.readouterr()
    assert [line.split(": ")[0] for line in said.err.splitlines()] == ["error"] * 2
    assert said.out.splitlines()[-2:] == [
        "[1/1] a\\nb.wav: nothing to change, copied to out/a\\nb.wav", "1 restored, 0 done before, 2 failed"
    ]  # fmt: skip
    assert (folder / "out" / "a\nb.wav").is_file()


def test_a_full_disk_leaves_nothing_half_written(folder, changing_model, capsys):
    import resource
    import signal

    write(folder / "in.wav", seconds=2.0)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        assert restore("in.wav", "-o", "out/out.wav", "--checkpoint", changing_model) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert "disk is full" in capsys.readouterr().err
    assert list((folder / "out").iterdir()) == []


def test_a_difference_without_its_output_is_not_left(folder, changing_model, capsys, monkeypatch):
    def full(*_):
        raise OutputNotWritable("the disk is full")

    monkeypatch.setattr("audiobuff_core.inference.restore_file.write_like", full)
    write(folder / "in.wav")
    assert restore("in.wav", "-o", "out/out.wav", "--delta", "--checkpoint", changing_model) == 1
    assert "disk is full" in capsys.readouterr().err
    assert list((folder / "out").iterdir()) == []
