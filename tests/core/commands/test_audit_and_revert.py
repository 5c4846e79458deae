"""Hear what was repaired, and put back what was not wanted: to the sample, on every depth."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiobuff_assets import cli
from audiobuff_core.audio.recording import read_recording

RATE = 16_000
CODINGS = [
    ("PCM_U8", "wav"), ("PCM_16", "wav"), ("PCM_24", "wav"), ("PCM_32", "wav"), ("FLOAT", "wav"),
    ("PCM_S8", "flac"), ("PCM_16", "flac"), ("PCM_24", "flac"),
]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def clicking(seconds=4.0, channels=2):
    """A tone in a little noise with three clicks in its first channel."""
    time = np.arange(round(seconds * RATE)) / RATE
    sound = 0.2 * np.sin(2 * np.pi * 330 * time) + 0.001 * np.random.default_rng(1).standard_normal(len(time))
    rows = np.stack([sound] * channels, axis=1)
    for place in (12_000, 30_000, 52_000):
        rows[place : place + 6, 0] += (0.5, -0.6, 0.5, -0.4, 0.3, -0.2)
    return rows


def run(*arguments):
    return cli.main([str(one) for one in arguments])


def restored(model, name="out.wav", source="in.wav", *options):
    assert run("restore", source, "-o", name, "--delta", "--checkpoint", model, *options) == 0
    return json.loads(Path(f"{name}.json").read_text())


def as_stored(path):
    return read_recording(path).stored


@pytest.mark.parametrize(("coding", "suffix"), CODINGS)
def test_what_is_left_and_what_was_removed_are_the_input_after_a_revert_too(here, changing_model, coding, suffix):
    soundfile.write(f"in.{suffix}", clicking(), RATE, subtype=coding)
    report = restored(changing_model, f"out.{suffix}", f"in.{suffix}")
    made = as_stored(f"out.{suffix}")
    assert run("revert", f"out.{suffix}", "--between", "1-2", "--between", "3-3.5") == 0
    before, after = as_stored(f"in.{suffix}"), as_stored(f"out.{suffix}")
    removed = soundfile.read(report["delta"], dtype="float64", always_2d=True)[0].T
    scale = 1.0 if before.dtype.kind == "f" else 2.0 ** (1 - 8 * before.dtype.itemsize)
    assert np.array_equal(after * scale + removed, before * scale)
    inside = np.r_[RATE : 2 * RATE, 3 * RATE : round(3.5 * RATE)]
    assert np.array_equal(after[:, inside], before[:, inside])
    fade = round(0.011 * RATE)
    outside = np.r_[0 : RATE - fade, 2 * RATE + fade : 3 * RATE - fade, round(3.5 * RATE) + fade : 4 * RATE]
    assert np.array_equal(after[:, outside], made[:, outside])
    assert not np.array_equal(after, before)


def test_clicks_are_put_back_by_number_and_by_kind_in_their_channel(here, export):
    soundfile.write("in.wav", clicking(), RATE, subtype="PCM_16")
    report = restored(export)
    clicks = [one for one in report["repairs"] if one["kind"] == "clicks"]
    assert len(clicks) == 3
    assert all(0 < one["confidence"] <= 1 and one["channels"] == [0] for one in clicks)
    before, made = as_stored("in.wav"), as_stored("out.wav")
    assert np.array_equal(made[1], before[1])
    assert run("revert", "out.wav", "--repairs", clicks[1]["id"]) == 0
    after = as_stored("out.wav")
    assert np.array_equal(after[0, 20_000:40_000], before[0, 20_000:40_000])
    assert np.array_equal(after[0, :20_000], made[0, :20_000])
    told = json.loads((here / "out.wav.json").read_text())
    assert [one.get("reverted", False) for one in told["repairs"]] == [False, True, False]
    assert told["after"] != report["after"]
    assert run("revert", "out.wav", "--kind", "declick") == 0  # by its other name
    assert np.array_equal(as_stored("out.wav"), before)
    assert run("restore", "in.wav", "-o", "out.wav", "--delta", "--checkpoint", export) == 0  # done before: it stays
    assert np.array_equal(as_stored("out.wav"), before)


@pytest.mark.slow
def test_a_picture_is_drawn_anew_and_a_moved_input_found(here, changing_model, capsys):
    soundfile.write("in.wav", clicking(), RATE, subtype="PCM_16")
    restored(changing_model, "out.wav", "in.wav", "--spectrogram")
    picture = (here / "out.wav.png").read_bytes()
    (here / "in.wav").rename(here / "moved.wav")
    assert run("revert", "out.wav", "--between", "0-3") == 1
    assert "--input" in capsys.readouterr().err
    assert run("revert", "out.wav", "--between", "0-3", "--input", "moved.wav") == 0
    assert (here / "out.wav.png").read_bytes() != picture


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "Nothing to put back"), (("--between", "9-10"), "the recording has 4.000 s"),
        (("--kind", "rust"), "No repair rust"), (("--repairs", "99"), "No repair 99"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_put_back(here, changing_model, capsys, options, reason):
    soundfile.write("in.wav", clicking(), RATE, subtype="PCM_16")
    restored(changing_model)
    before = (here / "out.wav").read_bytes()
    assert run("revert", "out.wav", *options) == 1
    said = capsys.readouterr().err
    assert reason in said
    assert len(said.splitlines()) == 1
    assert (here / "out.wav").read_bytes() == before


@pytest.mark.parametrize("command", ["audit", "revert"])
def test_files_that_are_not_ours_are_one_line(here, capsys, command):
    more = ["--between", "1-2"] if command == "revert" else []
    assert run(command, "gone.wav", *more) == 1
    assert "No audio at gone.wav" in capsys.readouterr().err
    soundfile.write("in.wav", clicking(), RATE)
    assert run(command, "in.wav", *more) == 1
    assert "No report" in capsys.readouterr().err
    (here / "in.wav.json").write_text("{}")
    assert run(command, "in.wav", *more) == 1
    assert "not a report" in capsys.readouterr().err


@pytest.mark.slow
def test_an_audit_has_a_page_and_sounds_of_the_largest_repairs(here, changing_model, capsys):
    soundfile.write("in.wav", clicking(30.0), RATE, subtype="PCM_16")
    report = restored(changing_model)
    assert run("audit", "out.wav", "--top", "3") == 0
    assert "3 of" in capsys.readouterr().out
    folder = here / "out.wav.audit"
    sounds = sorted(path.name for path in folder.glob("*.flac"))
    assert len(sounds) == 9
    for name in sounds:
        assert name in (folder / "index.html").read_text()
        heard, rate = soundfile.read(folder / name)
        assert rate == RATE
        assert 0 < len(heard) <= 6 * RATE
    first = [soundfile.read(folder / name)[0] for name in sounds[:3]]
    after, before, taken = first  # in the order of their names
    assert np.abs(before - after - taken).max() < 3 / 32_768
    assert "audiobuff revert out.wav --repairs" in (folder / "index.html").read_text()
    assert all(one["confidence"] is not None for one in report["repairs"])
    assert run("audit", "out.wav", "--top", "1") == 0  # anew: nothing of the other is left
    assert len(list(folder.glob("*.flac"))) == 3
    assert run("audit", "out.wav", "--top", "0") == 1


def test_an_audit_of_nothing_says_so(here, export):
    soundfile.write("in.wav", clicking()[:11_000], RATE, subtype="PCM_16")
    assert restored(export)["copied"]
    assert run("audit", "out.wav", "-o", "heard") == 0
    assert "Nothing was changed" in (here / "heard" / "index.html").read_text()
