"""Peers: each gives the right shape without delay and helps where it should; the operator never does harm."""

import json
import math
import signal
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from audiobuff_assets import cli
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.align import delay_samples
from audiobuff_core.degradation.kinds import KINDS_TABLE
from audiobuff_core.degradation.plan import Fault, PlanRow, draw_row
from audiobuff_core.degradation.recipe import TABLE_MARK
from audiobuff_core.degradation.render import render
from audiobuff_core.errors import DataMissing, InvalidAudio, InvalidConfig, PeerTooSlow
from audiobuff_core.evaluation.metrics.lsd import lsd_db
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db
from audiobuff_core.evaluation.peers import peer as peer_module
from audiobuff_core.evaluation.peers.catalogue import OPERATOR, PEERS
from audiobuff_core.evaluation.peers.ffmpeg import ffmpeg_filtered
from audiobuff_core.evaluation.peers.frames import in_frames
from audiobuff_core.evaluation.peers.libraries import load_noisereduce, load_spectral_subtraction, load_wpe
from audiobuff_core.evaluation.peers.limit import time_limit
from audiobuff_core.evaluation.peers.operator import NOTHING, operate
from audiobuff_core.evaluation.peers.peer import Case, of_waveform
from audiobuff_core.evaluation.peers.run import run_peers
from audiobuff_core.evaluation.peers.tools import TOOLS

RATE = 16_000
WITHOUT_TOOL = {"wow_flutter", "compressor", "softening", "over_suppression", "mp3", "codec"}


def music(channels=1, seconds=0.8, rate=RATE, seed=0):
    """Notes that begin and end, with pauses between them."""
    generator = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    beats = np.exp(-8 * (times % 0.2)) * (times % 0.4 < 0.3)
    tones = [sum(np.sin(2 * math.pi * hertz * times) for hertz in generator.uniform(150, 3000, 4))] * channels
    width = 0.01 * generator.standard_normal((channels, len(times)))
    return Waveform((0.1 * np.stack(tones) * beats + width * beats).astype(np.float32), rate)


def voice(channels, rate, seconds=0.8):
    """Vowels of a pitch that sways, four a second."""
    times = np.arange(round(seconds * rate)) / rate
    phase = 2 * math.pi * np.cumsum(120 + 20 * np.sin(2 * math.pi * 3 * times)) / rate
    formants = [
        (k, math.exp(-(((k * 120 - 600) / 500) ** 2)) + 0.3 * math.exp(-(((k * 120 - 1800) / 400) ** 2)))
        for k in range(1, 30)
    ]
    sound = sum(loud * np.sin(k * phase) for k, loud in formants) * (0.5 - 0.5 * np.cos(2 * math.pi * 4 * times))
    return Waveform(np.stack([0.1 * sound] * channels).astype(np.float32), rate)


def row_of(*faults, recipe="test"):
    return PlanRow("track", "hash", 0, recipe, 1, tuple(faults))


def damaged_by(*faults, clean):
    row = row_of(*faults)
    return Case(render(row, clean), row, clean)


@pytest.mark.parametrize("name", [name for name in PEERS if name != OPERATOR])
@pytest.mark.parametrize(("channels", "rate"), [(1, 44_100), (2, RATE)])
def test_every_peer_keeps_shape_and_time(name, channels, rate):
    clean = voice(channels, rate)  # two of them know voices only
    outcome = PEERS[name].load()(Case(clean))
    made = outcome.waveform
    assert made.samples.shape == clean.samples.shape
    assert made.sample_rate == rate
    assert outcome.how == ()
    assert abs(delay_samples(clean.samples, made.samples, most_samples=2000)) <= (name == "rnnoise")
    silent = Waveform(np.zeros((channels, 700), np.float32), rate)
    assert not PEERS[name].load()(Case(silent)).waveform.samples.any()


@pytest.mark.parametrize(
    "load", [load_wpe, load_spectral_subtraction, load_noisereduce, lambda: load_noisereduce(stationary=True)]
)
def test_tools_of_libraries_keep_shape_and_time(load):
    clean = music(2)
    made = load()(clean)
    assert made.samples.shape == clean.samples.shape
    assert delay_samples(clean.samples, made.samples, most_samples=2000) == 0
    one = Waveform(np.full((1, 1), 0.5, np.float32), RATE)
    assert load()(one).samples.shape == (1, 1)


def test_frames_of_a_delaying_process_come_back_where_they_were():
    line = np.zeros(1440, np.float32)

    def delay(frame, answer):
        nonlocal line
        line = np.concatenate([line, frame])
        answer[:], line = line[:480], line[480:]

    samples = np.arange(1, 1001, dtype=np.float32)
    assert np.array_equal(in_frames(samples, delay, 1440), samples)


def test_delay_of_a_filter_is_taken_off():
    clean = music(2)
    late = ffmpeg_filtered(clean, [("adelay", "delays=30:all=1")])
    assert np.array_equal(late.samples, clean.samples)


def test_ffmpeg_and_grooveclean_remove_clicks():
    clean = music(rate=44_100)
    samples = clean.samples.copy()
    samples[0, 5000:30000:4000] += 0.8
    clicked = Waveform(samples, clean.sample_rate)
    truth = clean.samples[0].astype(np.float64)
    before = si_sdr_db(truth, samples[0].astype(np.float64))
    for restore in (PEERS["grooveclean"].load(), operate):
        row = row_of(Fault("clicks", {}))
        after = restore(Case(clicked, row, clean)).waveform.samples[0].astype(np.float64)
        assert si_sdr_db(truth, after) > before + 10
    adeclick = ffmpeg_filtered(clicked, [("adeclick", "")]).samples[0].astype(np.float64)
    assert si_sdr_db(truth, adeclick) > before + 3


def test_gate_lowers_noise():
    noise = np.random.default_rng(3).standard_normal((1, RATE)).astype(np.float32) * 0.1
    gated = load_noisereduce(stationary=True)(Waveform(noise, RATE)).samples
    assert np.square(gated).mean() < 0.1 * np.square(noise).mean()


def test_operator_has_a_tool_for_every_kind_but_those_that_have_none():
    assert set(TOOLS) == set(KINDS_TABLE) - WITHOUT_TOOL


@pytest.mark.parametrize("kind", [kind for kind in KINDS_TABLE if kind != "environment"])
def test_operator_with_the_clean_recording_does_no_harm(kind):
    clean = music(1 if kind in ("clicks", "crackle") else 2, seconds=0.5)
    name = TABLE_MARK + {"filters": "hum", "overdrive": "hum"}.get(kind, kind)
    row = draw_row("track", f"hash of {kind}", recipe=name, seed=3, variant=0)
    if kind in ("filters", "overdrive"):
        faults = {fault.kind: fault for fault in draw_row("track", "h", recipe="seed", seed=3, variant=0).faults}
        row = replace(row, faults=(faults[kind],))
    damaged = render(row, clean)
    outcome = operate(Case(damaged, row, clean))
    assert [told.split(": ")[0] for told in outcome.how] == [fault.kind for fault in reversed(row.faults)]
    if outcome.how[-1].endswith(NOTHING):
        assert outcome.waveform is damaged
        return
    pairs = [
        (function(one, before.astype(np.float64)), function(one, after.astype(np.float64)))
        for function in (
            lsd_db,
            lambda one, other: -si_sdr_db(one, other),
            lambda one, other: np.square(one - other).sum(),
        )
        for one, before, after in zip(
            clean.samples.astype(np.float64), damaged.samples, outcome.waveform.samples, strict=True
        )
    ]
    assert any(after < before for before, after in pairs)
    assert kind not in WITHOUT_TOOL


@pytest.mark.parametrize(
    ("fault", "least_gain_db"),
    [
        (Fault("dc_offset", {"offset": 0.05}), 10),
        (Fault("level", {"gain": 0.1, "jitter_db": 0.0, "target": "kept"}), 30),
        (Fault("stereo", {"mode": "polarity", "channel": 1}), 60),
        (Fault("stereo", {"mode": "imbalance", "difference_db": 9.0}), 60),
        (Fault("stereo", {"mode": "width", "width": 0.2}), 40),
        (Fault("eq", {"mode": "tilt", "slope_db_per_octave": 3.0}), 20),
        (Fault("eq", {"mode": "shelf", "side": "high", "corner_hz": 2000.0, "gain_db": -9.0}), 20),
        (Fault("filters", {"highpass_hz": 200.0, "lowpass_hz": 5000.0, "quality": 0.7071}), 10),
        (Fault("rumble", {"center_hz": 30.0, "width_hz": 10.0, "snr_db": 0.0}), 10),
    ],
)  # fmt: skip
def test_operator_undoes_what_can_be_undone(fault, least_gain_db):
    clean = music(2)
    case = damaged_by(fault, clean=clean)

    def error_db(waveform):
        return 10 * math.log10(np.square(waveform.samples - clean.samples, dtype=np.float64).sum() + 1e-12)

    assert error_db(operate(case).waveform) < error_db(case.damaged) - least_gain_db


def test_operator_undoes_faults_from_the_last_to_the_first():
    clean = music(2)
    offset, turned = Fault("dc_offset", {"offset": 0.05}), Fault("stereo", {"mode": "polarity", "channel": 0})
    outcome = operate(damaged_by(offset, turned, clean=clean))
    assert outcome.how == ("stereo: channels put right", "dc_offset: mean taken off")
    assert np.abs(outcome.waveform.samples - clean.samples).max() < 0.01


def test_operator_without_the_clean_recording_takes_the_usual_tool():
    clean = music(2)
    row = row_of(Fault("mp3", {}), Fault("dc_offset", {"offset": 0.05}))
    case = Case(Waveform(clean.samples + np.float32(0.05), RATE), row)
    outcome = operate(case)
    assert outcome.how == ("dc_offset: mean taken off", f"mp3: {NOTHING}")
    assert abs(outcome.waveform.samples.mean()) < 1e-4


def test_operator_leaves_the_undamaged_alone_and_refuses_the_unknown():
    clean = music()
    assert operate(Case(clean, row_of(), clean)).waveform is clean
    with pytest.raises(DataMissing, match="not known"):
        operate(Case(clean))
    with pytest.raises(InvalidAudio, match="expected"):
        operate(Case(clean, row_of(), music(2)))


def clipped(seconds=0.5):
    """Music of which every second sample is clipped: FFmpeg's adeclip would take minutes."""
    clean = music(seconds=seconds, rate=44_100)
    height = float(np.quantile(np.abs(clean.samples), 0.3))
    return Case(Waveform(np.clip(clean.samples, -height, height), 44_100), row_of(Fault("clipping", {})), clean)


def test_a_tool_that_takes_too_long_is_given_up_and_named():
    case = replace(clipped(), limit_seconds=0.3)
    outcome = operate(case)
    assert outcome.given_up == ("clipping: ffmpeg adeclip gave up after 0.3 s",)
    assert outcome.how in (("clipping: audiobuff clipping",), (f"clipping: {NOTHING}",))
    chain = PEERS["ffmpeg"].load()(case)
    assert chain.given_up == ("adeclip gave up after 0.3 s",)
    assert not np.array_equal(chain.waveform.samples, case.damaged.samples)  # by the other two


def test_a_peer_of_one_step_that_takes_too_long_has_nothing_to_give():
    def forever(waveform):
        while True:
            pass

    with pytest.raises(PeerTooSlow, match=r"gave up after 0\.05 s"):
        of_waveform(forever)(replace(clipped(), limit_seconds=0.05))


def test_a_limit_leaves_the_quick_and_other_interruptions_alone():
    before = signal.getsignal(signal.SIGINT)
    with time_limit(60):
        quick = 1
    assert quick
    with pytest.raises(KeyboardInterrupt), time_limit(60):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(ValueError, match="of the tool"), time_limit(60):
        raise ValueError("of the tool")
    assert signal.getsignal(signal.SIGINT) is before


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
    assert "audiobuff[baselines]" in found.gaps["noisereduce"]
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
