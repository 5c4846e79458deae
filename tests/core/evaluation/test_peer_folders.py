"""Folders through peers: names, versions, speeds, and whatever went wrong."""

import json
from dataclasses import replace
from functools import partial

import pytest
import soundfile
from peer_cases import RATE, music

from audiobuff_assets import cli
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.evaluation.peers import peer as peer_module
from audiobuff_core.evaluation.peers.catalogue import OPERATOR, PEERS
from audiobuff_core.evaluation.peers.run import run_peers


def folder_of(path, names, kinds="clicks"):
    """A folder of clean recordings and one of damaged ones."""
    (path / "clean").mkdir()
    for seed, name in enumerate(names):
        soundfile.write(path / "clean" / name, music(seed=seed).samples.T, RATE)
    assert cli.main(["degrade", str(path / "clean"), str(path / "damaged"), "--kinds", kinds]) == 0


def test_folders_keep_names_and_tell_versions_and_speed(tmp_path):
    folder_of(tmp_path, ["a.wav", "b.flac"], kinds="dc_offset")
    (tmp_path / "damaged" / "b.flac.json").unlink()
    found = run_peers(tmp_path / "damaged", tmp_path / "out", names=[OPERATOR, "ffmpeg"], clean=tmp_path / "clean")
    told = json.loads((tmp_path / "out" / "baselines.json").read_text())
    assert told["num_recordings"] == 2
    assert told["gaps"] == {}
    assert sorted(path.name for path in (tmp_path / "out" / "ffmpeg").glob("*.wav")) == ["a.wav", "b.wav"]
    assert soundfile.info(tmp_path / "out" / "ffmpeg" / "a.wav").subtype == "FLOAT"
    assert [path.name for path in (tmp_path / "out" / OPERATOR).glob("*.wav")] == ["a.wav"]
    assert found.runs[OPERATOR].tools == {"a": ("dc_offset: mean taken off",)}
    assert list(told["runs"][OPERATOR]["refused"]) == ["b"]
    assert "not known" in told["runs"][OPERATOR]["refused"]["b"]
    run = found.runs["ffmpeg"]
    assert run.num_done == 2
    assert run.audio_seconds == pytest.approx(1.6)
    assert run.real_time_factor == pytest.approx(run.audio_seconds / run.wall_seconds)
    assert set(run.packages) == {"av"}
    seconds = [json.loads((tmp_path / "out" / "ffmpeg" / f"{name}.wav.json").read_text())["seconds"] for name in "ab"]
    assert sum(seconds) == pytest.approx(run.wall_seconds)


def test_names_that_do_not_pair_are_told(tmp_path):
    folder_of(tmp_path, ["a.wav", "b.wav"], kinds="dc_offset")
    (tmp_path / "clean" / "a.wav").rename(tmp_path / "clean" / "other.wav")
    found = run_peers(tmp_path / "damaged", tmp_path / "out", names=[OPERATOR], clean=tmp_path / "clean")
    assert "no clean recording of this name" in found.runs[OPERATOR].refused["a"]
    assert list(found.runs[OPERATOR].tools) == ["b"]
    soundfile.write(tmp_path / "damaged" / "b.flac", music().samples.T, RATE)
    with pytest.raises(InvalidConfig, match="suffix alone"):
        run_peers(tmp_path / "damaged", tmp_path / "out", names=[OPERATOR])


def test_missing_package_is_a_named_gap(tmp_path, monkeypatch):
    folder_of(tmp_path, ["a.wav"])

    def version(package):
        if package == "noisereduce":
            raise peer_module.PackageNotFoundError(package)
        return "1"

    monkeypatch.setattr(peer_module, "version", version)
    found = run_peers(tmp_path / "damaged", tmp_path / "out", names=["noisereduce", "ffmpeg"])
    assert list(found.runs) == ["ffmpeg"]
    assert "uv sync --extra baselines, or pip install noisereduce" in found.gaps["noisereduce"]
    assert not (tmp_path / "out" / "noisereduce").exists()


def test_what_was_given_up_is_told_by_both_commands(tmp_path, monkeypatch, capsys):
    folder_of(tmp_path, ["a.wav"])
    given_up = lambda case: peer_module.Outcome(case.damaged, given_up=("adeclip gave up after 10 s",))  # noqa: E731
    slow = replace(PEERS["ffmpeg"], load=lambda: given_up)
    monkeypatch.setattr("audiobuff_core.evaluation.peers.run.PEERS", {"ffmpeg": slow})
    folders = {name: str(tmp_path / name) for name in ("clean", "damaged", "out")}
    assert cli.main(["baselines", folders["damaged"], "-o", folders["out"], "--only", "ffmpeg"]) == 0
    assert "left out of ffmpeg: 'a': adeclip gave up after 10 s" in capsys.readouterr().err
    told = json.loads((tmp_path / "out" / "baselines.json").read_text())["runs"]["ffmpeg"]
    assert told["given_up"] == {"a": ["adeclip gave up after 10 s"]}
    where = ["--clean", folders["clean"], "--degraded", folders["damaged"], "--restored", f"f={folders['out']}/ffmpeg"]
    arguments = ["evaluate", *where, "--out", str(tmp_path / "report"), "--metrics", "lsd_db", "--processes", "1"]
    assert cli.main(arguments) == 0
    assert "note: a (f): gave up: adeclip gave up after 10 s" in capsys.readouterr().err
    assert "adeclip gave up after 10 s" in (tmp_path / "report" / "report.html").read_text()
    with pytest.raises(InvalidConfig, match="more than 0"):
        run_peers(tmp_path / "damaged", tmp_path / "out", names=["ffmpeg"], limit=0.0)


def test_what_is_done_is_not_done_again_unless_something_is_new(tmp_path, monkeypatch):
    folder_of(tmp_path, ["a.wav", "b.wav"], kinds="dc_offset")
    asked = []

    def restore(case):
        asked.append(case)
        return peer_module.Outcome(case.damaged, ("a tool",), ("another gave up",) if len(asked) == 1 else ())

    monkeypatch.setattr(
        "audiobuff_core.evaluation.peers.run.PEERS", {"ffmpeg": replace(PEERS["ffmpeg"], load=lambda: restore)}
    )
    again = partial(run_peers, tmp_path / "damaged", tmp_path / "out", names=["ffmpeg"])
    first = again()
    (tmp_path / "out" / "ffmpeg" / "b.wav").unlink()
    second = again()
    assert len(asked) == 3  # a and b, and b again
    assert second.runs["ffmpeg"].tools == first.runs["ffmpeg"].tools == {"a": ("a tool",), "b": ("a tool",)}
    assert second.runs["ffmpeg"].given_up == {"a": ("another gave up",)}
    assert again(limit=90.0).runs["ffmpeg"].given_up == {}  # in time now, perhaps
    assert len(asked) == 4
    soundfile.write(tmp_path / "damaged" / "b.wav", 0.5 * music(seed=1).samples.T, RATE)
    again(limit=90.0)
    assert len(asked) == 5
    monkeypatch.setattr(peer_module, "version", lambda package: "another")
    again(limit=90.0)
    assert len(asked) == 7


def test_failure_of_a_peer_is_named_and_the_rest_goes_on(tmp_path, monkeypatch, capsys):
    folder_of(tmp_path, ["a.wav", "b.wav"])

    def fail(case):
        if len(seen) == 0:
            seen.append(case)
            raise RuntimeError("out of luck")
        return peer_module.Outcome(Waveform(case.damaged.samples[:, 1:], RATE))

    seen = []
    broken = replace(PEERS["ffmpeg"], load=lambda: fail)
    monkeypatch.setattr("audiobuff_core.evaluation.peers.run.PEERS", {"ffmpeg": broken})
    arguments = ["baselines", str(tmp_path / "damaged"), "-o", str(tmp_path / "out"), "--only", "ffmpeg"]
    assert cli.main(arguments) == 1
    errors = capsys.readouterr().err
    assert "left out by ffmpeg: 'a': RuntimeError: out of luck" in errors
    assert "'b': InvalidAudio: It gave shape" in errors


def test_command_lists_peers_and_names_wrong_ones(tmp_path, capsys):
    assert cli.main(["baselines", "--list"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in PEERS)
    folder_of(tmp_path, ["a.wav"])
    assert cli.main(["baselines", str(tmp_path / "damaged"), "--out", str(tmp_path / "o"), "--only", "magic"]) == 1
    assert "Peer magic: expected any of operator" in capsys.readouterr().err
    with pytest.raises(InvalidConfig, match="is an input folder"):
        run_peers(tmp_path / "damaged", tmp_path / "damaged", names=["ffmpeg"])
