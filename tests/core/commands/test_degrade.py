"""`audiobuff degrade`: files keep their format, rows render again, folders lose nothing, and bad input is one line."""

import json
import re

import av
import numpy as np
import pytest
import soundfile

from audiobuff_assets import cli
from audiobuff_core.audio.read import read_audio
from audiobuff_core.degradation.kinds import KINDS_TABLE
from audiobuff_core.degradation.plan import PlanRow
from audiobuff_core.degradation.recipe import load_recipe
from audiobuff_core.degradation.render import render

RATE = 16_000


def music(channels=1, seconds=0.3, seed=1):
    return 0.2 * np.random.default_rng(seed).standard_normal((int(seconds * RATE), channels))


def write_m4a(path, channels=1):
    layout = "mono" if channels == 1 else "stereo"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=RATE, layout=layout)
        samples = np.ascontiguousarray(music(channels).astype(np.float32)).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
        frame.sample_rate = RATE
        for piece in (frame, None):
            file.mux(stream.encode(piece))


@pytest.mark.parametrize(
    ("suffix", "container", "subtype"),
    [
        (".wav", "WAV", "PCM_16"), (".wav", "WAV", "PCM_24"), (".wav", "WAV", "FLOAT"), (".wav", "WAV", "DOUBLE"),
        (".wav", "WAV", "PCM_U8"), (".flac", "FLAC", "PCM_16"), (".aiff", "AIFF", "PCM_24"), (".ogg", "OGG", "VORBIS"),
        (".mp3", "MP3", "MPEG_LAYER_III"), (".ogg", "OGG", "OPUS"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 2])
def test_container_and_coding_are_kept(folder, suffix, container, subtype, channels):
    source, made = folder / f"in{suffix}", folder / f"out{suffix}"
    soundfile.write(source, music(channels), RATE, format=container, subtype=subtype)
    assert cli.main(["degrade", str(source), str(made), "--kinds", "clicks,noise"]) == 0
    before, after = soundfile.info(source), soundfile.info(made)
    assert (after.format, after.subtype, after.channels, after.samplerate) == (
        container, subtype, channels, before.samplerate
    )  # fmt: skip
    facts = json.loads((folder / f"out{suffix}.json").read_text())
    assert [fault["kind"] for fault in facts["row"]["faults"]] == ["noise", "clicks"]
    if subtype == "FLOAT":  # exactly what the row alone makes of the input
        again = render(PlanRow.from_dict(facts["row"]), read_audio(source))
        np.testing.assert_array_equal(read_audio(made).samples, again.samples)
    if container in ("WAV", "FLAC", "AIFF"):
        assert after.frames == before.frames


@pytest.mark.parametrize("channels", [1, 2])
def test_aac_in_m4a_stays_aac_in_m4a(folder, channels):
    write_m4a(folder / "in.m4a", channels)
    assert cli.main(["degrade", "in.m4a", "out.m4a", "--kinds", "eq:tilt"]) == 0
    with av.open("out.m4a") as file:
        stream = file.streams.audio[0]
        assert stream.codec_context.codec.name == "aac"
        assert stream.codec_context.channels == channels
    assert read_audio("out.m4a").num_samples == pytest.approx(read_audio("in.m4a").num_samples, abs=2048)


def test_whole_numbers_are_scaled_and_not_clipped(folder):
    soundfile.write("in.wav", 4.5 * music(), RATE, subtype="PCM_16")
    assert cli.main(["degrade", "in.wav", "out.wav", "--kinds", "clicks"]) == 0
    facts = json.loads((folder / "out.wav.json").read_text())
    assert 0 < facts["output_gain"] < 1
    again = render(PlanRow.from_dict(facts["row"]), read_audio("in.wav")).samples * facts["output_gain"]
    np.testing.assert_allclose(read_audio("out.wav").samples, again, atol=1e-4)


def test_a_row_renders_the_same_bytes_and_only_its_own_recording(folder, capsys):
    soundfile.write("in.flac", music(2), RATE)
    soundfile.write("other.flac", music(2, seed=2), RATE)
    assert cli.main(["degrade", "in.flac", "one.flac", "--kinds", "crackle,reverb,codec"]) == 0
    assert cli.main(["degrade", "in.flac", "two.flac", "--row", "one.flac.json"]) == 0
    assert (folder / "one.flac").read_bytes() == (folder / "two.flac").read_bytes()
    assert cli.main(["degrade", "other.flac", "three.flac", "--row", "one.flac.json"]) == 1
    assert "of another recording" in capsys.readouterr().err
    assert not (folder / "three.flac").exists()


def test_what_is_done_is_kept_and_what_was_touched_is_made_again(folder, capsys):
    soundfile.write("in.wav", music(), RATE)
    made = folder / "out.wav"

    def degrade(*options):
        assert cli.main(["degrade", "in.wav", "out.wav", "--kinds", "noise", *options]) == 0
        return "as it was there" in capsys.readouterr().out

    assert not degrade()
    first, when = made.read_bytes(), made.stat().st_mtime_ns
    assert degrade()
    assert made.stat().st_mtime_ns == when
    made.write_bytes(first[:-100])
    assert not degrade()
    assert made.read_bytes() == first
    (folder / "out.wav.json").write_text("[1]")
    assert not degrade()
    assert not degrade("--seed", "8")
    assert made.read_bytes() != first


def test_the_plan_alone_writes_no_audio_and_is_the_plan(folder):
    soundfile.write("in.wav", music(), RATE)
    for options in (["--plan-only"], []):
        assert cli.main(["degrade", "in.wav", "out.wav", "--seed", "5", "--variant", "3", *options]) == 0
        facts = json.loads((folder / "out.wav.json").read_text())
        if options:
            assert not (folder / "out.wav").exists()
            planned = facts["row"]
    assert facts["row"] == planned
    assert (planned["seed"], planned["variant"], planned["recipe"]) == (5, 3, "audiobuff")


def test_each_never_writes_over_its_input(folder, capsys):
    soundfile.write("clean.flac", music(), RATE)
    before = (folder / "clean.flac").read_bytes()
    assert cli.main(["degrade", "clean.flac", ".", "--each"]) == 1
    assert "would be overwritten" in capsys.readouterr().err
    assert (folder / "clean.flac").read_bytes() == before
    assert list(folder.iterdir()) == [folder / "clean.flac"]


def test_a_row_that_was_edited_beyond_its_ranges_is_one_line(folder, capsys):
    soundfile.write("in.wav", music(), RATE)
    assert cli.main(["degrade", "in.wav", "out.wav", "--kinds", "bit_depth"]) == 0
    facts = json.loads((folder / "out.wav.json").read_text())
    for change, words in (({"bits": 99}, "bits: 99 is outside 1 to 24"), ({"bits": None}, "bits: None is neither")):
        parameters = {**facts["row"]["faults"][0]["parameters"], **change}
        row = {**facts["row"], "faults": [{"kind": "bit_depth", "parameters": parameters}]}
        (folder / "row.json").write_text(json.dumps({"row": row}))
        assert cli.main(["degrade", "in.wav", "again.wav", "--row", "row.json"]) == 1
        assert words in capsys.readouterr().err
        assert not (folder / "again.wav").exists()


def test_kinds_are_drawn_as_the_list_says(folder):
    soundfile.write("in.wav", music(), RATE)
    found = set()
    for seed in range(60):
        call = ["in.wav", "out.wav", "--kinds", "band_limit", "--plan-only", "--seed", str(seed)]
        assert cli.main(["degrade", *call]) == 0
        row = json.loads((folder / "out.wav.json").read_text())["row"]
        found.add(row["faults"][0]["parameters"]["bandwidth_hz"])
    assert {
        2000,
        4000,
        8000,
        11025,
        16000,
    } < found  # and some of 22050, 24000, 32000, which the recipe of that name lacks


@pytest.mark.parametrize("options", [["--kinds", "environment:babble"], ["--kinds", "hum,environment"], []])
def test_noise_of_an_own_folder_is_heard_and_rendered_again(folder, options, capsys):
    (folder / "noises").mkdir()
    for number in range(6):
        soundfile.write(folder / "noises" / f"n{number}.wav", music(seed=10 + number), RATE)
    soundfile.write("in.wav", music(2), RATE, subtype="FLOAT")
    heard = []
    for variant in range(25 if not options else 1):
        call = ["in.wav", "out.wav", "--noises", "noises", "--variant", str(variant), *options]
        assert cli.main(["degrade", *call, *(["--plan-only"] if not options else [])]) == 0
        faults = json.loads((folder / "out.wav.json").read_text())["row"]["faults"]
        heard += [fault["parameters"] for fault in faults if fault["kind"] == "environment"]
    assert heard
    assert all(len(json.loads(one["files"])) == one["voices"] for one in heard)
    if not options:
        return
    assert cli.main(["degrade", "in.wav", "again.wav", "--row", "out.wav.json"]) == 0
    assert (folder / "again.wav").read_bytes() == (folder / "out.wav").read_bytes()
    for path in (folder / "noises").iterdir():
        path.unlink()
    capsys.readouterr()
    assert cli.main(["degrade", "in.wav", "gone.wav", "--row", "out.wav.json"]) == 1
    assert "is gone or has changed" in capsys.readouterr().err


def test_every_kind_is_listed_with_its_ranges(capsys):
    assert cli.main(["degrade", "--list"]) == 0
    said = capsys.readouterr().out
    for kind in KINDS_TABLE:
        assert f"\n  {kind}: " in said
    assert "snr_db -5.0..20.0" in said
    assert "environment:babble, weight 0.3 with --noises" in said
    assert "overdrive, in the recipe seed: drive 1.5..3.0" in said
    assert "audiobuff.toml" in said


def test_a_name_with_a_line_break_is_said_in_one_line(folder, capsys):
    soundfile.write("two\nlines.wav", music(), RATE)
    assert cli.main(["degrade", "two\nlines.wav", "out\n.wav", "--kinds", "hum"]) == 0
    assert capsys.readouterr().out == "out\\n.wav: hum\n"
    assert (folder / "out\n.wav.json").exists()


@pytest.mark.slow
def test_what_a_kind_does_not_change_is_said_on_the_page(folder):
    soundfile.write("mono.wav", music(), RATE)
    assert cli.main(["degrade", "mono.wav", "page", "--each"]) == 0
    unchanged = re.findall(r"<b>([a-z_:]+)</b><span[^>]*>changes nothing", (folder / "page/index.html").read_text())
    assert unchanged == ["stereo:mono", "stereo:width", "stereo:imbalance", "stereo:polarity"]


@pytest.mark.slow
def test_each_kind_can_be_heard_and_seen(folder):
    soundfile.write("in & <out>.wav", music(2), RATE)
    assert cli.main(["degrade", "in & <out>.wav", "page", "--each"]) == 0
    page = (folder / "page/index.html").read_text()
    assert "in &amp; &lt;out&gt;.wav" in page
    sounds = re.findall(r'<audio [^>]*src="([^"]+)"', page)
    assert len(sounds) == len(load_recipe("audiobuff").entries) + 3  # the clean one, and two of the original's
    assert "changes nothing here" not in page
    assert page.count('<img src="data:image/png;base64,') == len(sounds)
    for name in sounds:
        assert soundfile.info(folder / "page" / name).frames == len(music())
        if name != "clean.flac":
            assert json.loads((folder / "page" / name.replace(".flac", ".json")).read_text())["row"]["faults"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "expected IN and OUT"),
        (["in.wav"], "expected IN and OUT"),
        (["in.wav", "in.wav"], "never overwritten"),
        (["in.wav", "."], "never overwritten"),
        (["in.wav", "out.flac"], "another format"),
        (["in.wav", "out.wav", "--kinds", "locusts"], "'locusts'"),
        (["in.wav", "out.wav", "--kinds", ""], "Recipe or kind ''"),
        (["in.wav", "out.wav", "--kinds", "environment"], "--noises FOLDER"),
        (["in.wav", "out.wav", "--kinds", "hum", "--noises", "empty"], "--kinds hum,environment"),
        (["in.wav", "out.wav", "--kinds", "environment", "--noises", "gone"], "'gone' is no folder"),
        (["in.wav", "out.wav", "--kinds", "environment", "--noises", "empty"], "No recordings"),
        (["in.wav", "out.wav", "--recipe", "seed", "--noises", "empty"], "names its folder itself"),
        (["in.wav", "out.wav", "--recipe", "none.toml"], r"none\.toml can't be read"),
        (["in.wav", "out.wav", "--recipe", "bad.toml"], "2 problem"),
        (["in.wav", "out.wav", "--recipe", "seed", "--kinds", "hum"], "exclude each other"),
        (["in.wav", "out.wav", "--row", "bad.toml"], "JSON"),
        (["in.wav", "out.wav", "--variant", "-1"], "--variant -1"),
        (["in.wav", "out.wav", "--row", "bad.toml", "--seed", "1337"], "its own seed"),
        (["missing.wav", "out.wav"], "no such file"),
        (["text.wav", "out.wav"], "not audio"),
        (["in.wav", "file/out.wav"], "file"),
        (["empty", "out"], "No recordings"),
        (["empty", "empty"], "never overwritten"),
        (["empty", "out", "--each"], "one recording"),
        (["in.wav", "out", "--each", "--plan-only"], "plan-only"),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing(folder, capsys, options, words):
    soundfile.write("in.wav", music(), RATE)
    (folder / "text.wav").write_text("no audio")
    (folder / "file").write_text("")
    (folder / "empty").mkdir()
    (folder / "bad.toml").write_text("colour = 1\n[[fault]]\nkind = 'locusts'")
    before = sorted(folder.rglob("*"))
    assert cli.main(["degrade", *options]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(words, said.err)
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert sorted(folder.rglob("*")) == before
