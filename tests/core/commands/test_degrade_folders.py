"""`audiobuff degrade` of folders: mirrored whole, nothing overwritten, and what can't be read is named."""

import os
import re

import numpy as np
import soundfile
from tones import white

from audiobuff_assets import cli

RATE = 16_000


def music():
    return white(1, 0.3, RATE).T


def test_a_folder_is_mirrored_and_bad_files_are_named_and_no_obstacle(folder, capsys):
    names = ["a/song.wav", "b/song.wav", "b/with space.wav", "b/ünï\ncode.wav", "-dash.wav", "one sample.wav"]
    for name in names:
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / "in" / name, music()[: 1 if "one" in name else None], RATE)
    (folder / "in" / "text.wav").write_text("no audio")
    (folder / "in" / "empty.flac").write_bytes(b"")
    soundfile.write(folder / "in" / "cut.wav", music(), RATE)
    (folder / "in" / "cut.wav").write_bytes((folder / "in" / "cut.wav").read_bytes()[:5000])
    soundfile.write(folder / "in" / "nan.wav", np.array([0.1, np.nan]), RATE, subtype="FLOAT")
    assert cli.main(["degrade", "in", "in/out", "--kinds", "hum"]) == 1
    said = capsys.readouterr()
    for name in ("text.wav", "empty.flac", "nan.wav", "cut.wav"):
        assert len(re.findall(rf"^left out: .*{name}", said.err, re.MULTILINE)) == 1
    assert "6 recordings" in said.out
    for name in names:
        assert (folder / "in/out" / name).exists()
        assert (folder / "in/out" / f"{name}.json").exists()
    # Again: earlier outputs are no inputs.
    assert cli.main(["degrade", "in", "in/out", "--kinds", "hum"]) == 1
    assert "6 recordings" in capsys.readouterr().out
    assert not (folder / "in/out/out").exists()


def test_links_and_inboxes_in_a_folder_are_damaged_in_their_place(folder):
    for name in ("elsewhere/a.wav", "elsewhere/more/b.wav", "in/inbox/c.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, music(), RATE)
    (folder / "in/link.wav").symlink_to(folder / "elsewhere/a.wav")
    (folder / "in/linked").symlink_to(folder / "elsewhere/more")
    (folder / "in/round").symlink_to(folder / "in")
    assert cli.main(["degrade", "in", "out", "--kinds", "dc_offset"]) == 0
    made = sorted(str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*.wav"))
    assert made == ["inbox/c.wav", "link.wav", "linked/b.wav"]


def test_a_folder_beside_its_inputs_never_overwrites_one(folder, capsys):
    for name in ("in/sub/sub/a.wav", "in/sub/a.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, music(), RATE)
    before = {path: path.read_bytes() for path in folder.rglob("*.wav")}
    assert cli.main(["degrade", "in/sub", "in", "--kinds", "hum"]) == 1
    assert "is an input, and an output would go there" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*.wav")} == before
    (folder / "in/sub/sub/a.wav").rename(folder / "in/sub/sub/b.wav")
    assert cli.main(["degrade", "in/sub", "in", "--kinds", "hum"]) == 0
    assert (folder / "in/a.wav").exists()
    assert (folder / "in/sub/b.wav").exists()


def test_what_may_not_be_looked_into_is_named_and_no_obstacle(folder, capsys, monkeypatch):
    (folder / "in/closed").mkdir(parents=True)
    soundfile.write("in/a.wav", music(), RATE)
    scandir = os.scandir

    def closed(place):
        if str(place).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", closed)
    assert cli.main(["degrade", "in", "out", "--kinds", "hum"]) == 1
    said = capsys.readouterr()
    assert re.search(r"^left out: .*closed.*Permission denied", said.err, re.MULTILINE)
    assert "1 recordings to out, 1 left out" in said.out
