import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from audiobuff_assets import cli, dev


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("AUDIOBUFF_ROOT", "")
    return tmp_path


def write_bad_inputs(folder):
    (folder / "text.wav").write_text("this is no audio")
    (folder / "empty.wav").write_bytes(b"")
    soundfile.write(folder / "one.wav", np.zeros(1), 44_100)
    soundfile.write(folder / "nan.wav", np.array([0.1, np.nan] * 4000), 44_100, subtype="FLOAT")


@pytest.mark.parametrize("name", ["missing.wav", "text.wav", "empty.wav", "one.wav", "nan.wav", "."])
def test_bad_input_is_one_line_and_leaves_nothing(folder, capsys, name):
    write_bad_inputs(folder)
    before = sorted(folder.iterdir())
    code = cli.main(["demo", "--input", name, "--output", "repaired.wav"])
    said = capsys.readouterr()
    assert code == 1
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    assert sorted(folder.iterdir()) == before


def test_debug_shows_where_an_error_came_from(folder):
    with pytest.raises(FileNotFoundError):
        cli.main(["demo", "--input", "missing.wav", "--output", "repaired.wav", "--debug"])


def test_an_output_place_that_is_no_folder_is_one_line(folder, capsys):
    (folder / "file").write_text("")
    assert cli.main(["demo", "--out", "file"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert (folder / "file").read_text() == ""


def test_a_watched_folder_that_is_none_is_one_line(folder, capsys, monkeypatch):
    monkeypatch.setenv("AUDIOBUFF_INCOMING", "nowhere")
    assert cli.main(["dev", "--home", "home"]) == 1
    assert "AUDIOBUFF_INCOMING is nowhere, which is no folder" in capsys.readouterr().err
    assert not (folder / "home").exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AUTOMATION", "onn"),
        ("TICK_SECONDS", "0"),
        ("SETTLE_SECONDS", "soon"),
        ("TRACKS_PER_SHARD", "nan"),
        ("RETRAINING", "sundays"),
        ("PRESET", "huge"),
        ("DEVICE", "gpu"),
        ("PROCESSES", "all"),
        ("ENV", "s3"),
    ],
)
def test_a_variable_that_means_nothing_is_one_line_before_anything_is_made(
    folder, capsys, monkeypatch, variable, value
):
    monkeypatch.delenv("AUDIOBUFF_ROOT", raising=False)
    monkeypatch.setenv(f"AUDIOBUFF_{variable}", value)
    assert cli.main(["dev", "--home", "home"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"AUDIOBUFF_{variable} is '{value}'" in said or "AUDIOBUFF_ENV is s3" in said
    assert not (folder / "home").exists()


def test_a_port_that_is_taken_is_one_line_before_anything_is_made(folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["dev", "--home", "home", "--port", str(port)]) == 1
    assert f"--port is {port}, which can't be had" in capsys.readouterr().err
    assert cli.main(["dev", "--home", "home", "--port", "70000"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (folder / "home").exists()


def test_a_bucket_can_be_watched(folder, monkeypatch):
    started = []

    def supervise(words, *, spared):
        started.append((words, os.environ["AUDIOBUFF_INCOMING"], os.environ["AUDIOBUFF_BROWSER"]))
        return 0

    monkeypatch.setattr(dev, "supervise", supervise)
    monkeypatch.setenv("AUDIOBUFF_INCOMING", "s3://bucket/incoming")
    monkeypatch.setenv("AUDIOBUFF_BROWSER", "")
    monkeypatch.setenv("AUDIOBUFF_ROOT", "made")
    monkeypatch.setenv("AUDIOBUFF_INBOX", "dropped")
    monkeypatch.setenv("AUDIOBUFF_START_FROM", "champion")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert cli.main(["dev", "--home", "home", "--port", str(port)]) == 0
    ((words, watched, address),) = started
    assert words[1:4] == ["-m", "dagster", "dev"]
    assert watched == "s3://bucket/incoming"
    assert address == f"http://127.0.0.1:{port}"  # where links in notifications lead
    # Dagster works in its home: what was meant from here is still meant.
    assert os.environ["AUDIOBUFF_ROOT"] == str(folder / "made")
    assert os.environ["AUDIOBUFF_INBOX"] == str(folder / "dropped")
    assert os.environ["AUDIOBUFF_START_FROM"] == "champion"


@pytest.mark.parametrize("option", ["--codec", "--structure", "--semantic"])
def test_an_unknown_encoder_is_refused_by_name_before_anything_is_made(folder, capsys, option):
    assert cli.main(["demo", "--out", "out", option, "nonesuch"]) == 1
    said = capsys.readouterr().err
    assert "nonesuch" in said
    assert "builtin" in said
    assert not (folder / "out").exists()


def test_input_needs_output(folder, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", "--input", "damaged.wav"])
    assert ended.value.code == 2
    assert "--output" in capsys.readouterr().err


def test_an_interrupt_is_one_line_that_says_how_to_go_on(folder, capsys, monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr("audiobuff_assets.demo.run_demo", interrupted)
    assert cli.main(["demo", "--out", "out"]) == 130
    assert "same command again" in capsys.readouterr().err


def test_two_demos_do_not_work_in_one_place(folder, capsys):
    from audiobuff_assets.demo import opened
    from audiobuff_assets.options import DemoOptions

    with opened(DemoOptions(out=folder / "out")):
        assert cli.main(["demo", "--out", "out"]) == 1
    assert "Another demo" in capsys.readouterr().err


def test_help_needs_nothing_heavy():
    code = "import sys; from audiobuff_assets.cli import parser; parser(); print('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
