"""The flags, defaults, choices and profiles of the original's `prepare_latents` and `train`, frozen."""

import argparse
import json
import re
from pathlib import Path

import numpy as np
import pytest

from audiobuff_assets import cli as audiobuff
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.codecs.registry import load_codec
from audiobuff_core.data import prepare_latents
from audiobuff_core.data.snapshot import load_snapshot
from audiobuff_core.errors import EncoderUnavailable, InvalidConfig
from audiobuff_core.models.schema import read_checkpoint
from audiobuff_core.training import cli
from audiobuff_core.training.config import PROFILES, config_for
from audiobuff_core.training.original_flags import ORIGINAL_WIDTHS, take_original_flags

BUILTIN = ["--codec", "builtin", "--structure", "builtin", "--semantic", "builtin"]

# flag -> (type, default, choices)
PREPARE = {
    "source_dir": (None, "./raw_pristine_audio", None),
    "out_dir": (None, "./latents", None),
    "sample_rate": (int, None, None),
    "segment_seconds": (float, 5.0, None),
    "max_files": (int, None, None),
    "dac_model_type": (None, "44khz", ["16khz", "24khz", "44khz"]),
    "seed": (int, 1337, None),
}
TRAIN = {
    "profile": (None, "poc", ["smoke", "poc", "full"]),
    "data_dir": (None, "./latents", None),
    "checkpoint_dir": (None, "./checkpoints", None),
    "resume_path": (None, None, None),
    **dict.fromkeys(("epochs", "batch_size", "num_workers", "grad_accum_steps"), (int, None, None)),
    **dict.fromkeys(("lr", "weight_decay"), (float, None, None)),
}
# What the original's parser said and ours takes from the profile, where it is the same in all three.
TRAIN_VALUES = {
    "ema_decay": 0.9999, "log_interval": 25, "seed": 1337, "d_model": 1024, "n_heads": 16, "depth": 12,
    "p_uncond": 0.15,
}  # fmt: skip
TRAIN_PROFILES = {
    "smoke": {"epochs": 1, "batch_size": 2, "num_workers": 2, "grad_accum_steps": 1},
    "poc": {"epochs": 8, "batch_size": 4, "num_workers": 2, "grad_accum_steps": 4},
    "full": {"epochs": 100, "batch_size": 8, "num_workers": 4, "grad_accum_steps": 8},
}


def _actions(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {option.removeprefix("--"): action for action in parser._actions for option in action.option_strings}


@pytest.mark.parametrize(
    ("flags", "parser"), [(PREPARE, prepare_latents.parser()), (TRAIN, cli.parser())], ids=["prepare", "train"]
)
def test_flags_keep_their_types_defaults_and_choices(flags: dict, parser: argparse.ArgumentParser) -> None:
    actions = _actions(parser)
    for name, (kind, default, choices) in flags.items():
        assert actions[name].type in (kind, None if kind is None else kind), name
        assert actions[name].default == default, name
        assert choices is None or set(choices) <= set(actions[name].choices), name
        assert not actions[name].required, name


def test_values_and_profiles_of_training_stay() -> None:
    parsed = vars(cli.parser().parse_args([]))
    for profile, values in TRAIN_PROFILES.items():
        config = PROFILES[profile].as_dict()
        assert {name: config[name] for name in values} == values
        assert (config["lr"], config["weight_decay"]) == (1e-4, 1e-5)
        assert {name: config[name] for name in TRAIN_VALUES} == TRAIN_VALUES
        assert (config["precision"] == "fp32") == (profile == "smoke")
    assert set(TRAIN_VALUES) <= set(parsed)


def test_widths_have_the_original_flags_and_show_its_values() -> None:
    assert ORIGINAL_WIDTHS == {"in_channels": 1024, "xcodec_dim": 512, "mae_dim": 768}
    for name, width in ORIGINAL_WIDTHS.items():
        action = _actions(cli.parser())[name]
        assert (action.type, action.default) == (int, None)
        assert str(width) in str(action.help)


@pytest.mark.parametrize(
    ("flags", "precision"),
    [([], "auto"), (["--amp"], "auto"), (["--no_amp"], "fp32"), (["--precision", "bf16"], "bf16")],
)
def test_amp_is_a_precision(flags: list[str], precision: str) -> None:
    arguments = vars(cli.parser().parse_args(["--snapshot", "s.json", *flags]))
    for name in ("checkpoint_dir", "profile", "debug", "init_from", "device", "dry_run", "tensorboard"):
        del arguments[name]
    take_original_flags(arguments)
    assert config_for("poc", arguments).precision == precision


def test_amp_and_precision_that_contradict_are_named() -> None:
    arguments = vars(cli.parser().parse_args(["--snapshot", "s.json", "--no_amp", "--precision", "bf16"]))
    with pytest.raises(InvalidConfig, match="--no_amp and --precision bf16"):
        take_original_flags(arguments)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten half-second chords, stereo FLAC at 32 kHz in a sub-folder: none of them a mono .wav."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "album").mkdir()
    seconds = np.arange(16_000) / 32_000
    for index in range(10):
        chord = sum(np.sin(2 * np.pi * 110 * 2 ** ((index + step) / 12) * seconds) for step in (0, 4, 7))
        samples = np.stack([0.2 * chord, 0.1 * chord]).astype(np.float32)
        write_audio(folder / "album" / f"chord_{index:02d}.flac", Waveform(samples, 32_000))
    return folder


@pytest.fixture(scope="module")
def prepared(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "latents"
    flags = ["--source_dir", str(recordings), "--out_dir", str(out), "--segment_seconds", "0.25", *BUILTIN]
    assert prepare_latents.main(flags) == 0
    return out


def test_prepared_latents_are_one_snapshot(prepared: Path) -> None:
    note = json.loads((prepared / "prepared.json").read_text())
    assert note["segment_frames"] == round(0.25 * 44_100 / 512)
    snapshot = load_snapshot(str(prepared / note["snapshot"]))
    assert {item.split for item in snapshot.items} <= {"train", "validation"}
    assert {item.variant for item in snapshot.items} == {0}
    assert snapshot.encoders.as_dict() == {"codec": "builtin", "structure": "builtin", "semantic": "builtin"}


def test_max_files_takes_the_first_by_name(recordings: Path, tmp_path: Path) -> None:
    flags = ["--source_dir", str(recordings), "--out_dir", str(tmp_path), "--max_files", "6", *BUILTIN]
    assert prepare_latents.main(flags) == 0
    (shard,) = (tmp_path / "incoming").glob("*.json")
    names = {Path(track["source"]).name for track in json.loads(shard.read_text())["tracks"]}
    assert names == {f"chord_{index:02d}.flac" for index in range(6)}


def test_two_files_leave_something_to_train_on_whatever_their_hashes(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiobuff_core.data.ingest.split_of", lambda split_hash: "held_out")
    flags = ["--source_dir", str(recordings), "--out_dir", str(tmp_path), "--max_files", "2", *BUILTIN]
    for _ in range(2):  # the second time it finds what the first has decided
        assert prepare_latents.main(flags) == 0
        (path,) = (tmp_path / "snapshots").glob("*.json")
        assert [item.split for item in load_snapshot(str(path)).items] == ["train"]


def test_training_takes_what_was_prepared_and_resumes_from_a_path(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dim = load_codec("builtin").latent_dim
    flags = [
        "--data_dir",
        str(prepared),
        "--profile",
        "test",
        "--no_amp",
        "--in_channels",
        str(dim),
        "--max_steps",
        "36",
    ]
    one, two = tmp_path / "one", tmp_path / "two"
    assert cli.main([*flags, "--checkpoint_dir", str(one)]) == 0
    content = read_checkpoint(str(one / "checkpoint_best.pt"))
    assert content["config"]["training"]["segment_frames"] == 22
    assert content["meta"]["in_channels"] == dim
    (earlier, step), (last, last_step) = sorted(
        ((path, read_checkpoint(str(path))["train_state"]["step"]) for path in one.glob("checkpoint_epoch_*.pt")),
        key=lambda pair: pair[1],
    )
    rows: list[dict] = []
    resumed = [*flags, "--checkpoint_dir", str(two), "--resume_path", str(earlier)]
    assert cli.main(resumed, on_log=rows.append) == 0
    assert min(row["step"] for row in rows) == step + 1
    assert (two / last.name).read_bytes() == last.read_bytes()  # to the bit what the run would have been without a stop
    assert last_step == 36
    (two / "done.json").unlink()
    assert cli.main(resumed) == 1
    assert f"is at step {step}" in capsys.readouterr().err


def test_a_width_that_is_not_that_of_the_latents_names_both(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--data_dir", str(prepared), "--profile", "test", "--xcodec_dim", "512"]) == 1
    said = capsys.readouterr().err
    assert "--xcodec_dim 512 but structure latents of width 24" in said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--source_dir", "nowhere"], "No folder nowhere"),
        (["--segment_seconds", "0"], "segment_seconds 0.0 (expected 0.1"),
        (["--max_files", "0"], "max_files 0"),
        (["--structure", "nonesuch"], "'nonesuch'"),
    ],
)
def test_bad_requests_are_one_line(
    flags: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert prepare_latents.main([*BUILTIN, *flags]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_missing_weights_name_both_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise EncoderUnavailable(f"No weights of {name}: run `audiobuff fetch-weights {name}`")

    monkeypatch.setattr(prepare_latents, "load_codec", missing)
    assert prepare_latents.main(["--out_dir", str(tmp_path / "out"), "--dac_model_type", "24khz"]) == 1
    said = capsys.readouterr().err
    assert "fetch-weights dac-24khz" in said
    assert "--codec builtin" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_training_without_latents_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--data_dir", str(tmp_path)]) == 1
    assert "prepare_latents" in capsys.readouterr().err


def test_the_tool_has_the_same_command(recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["prepare", "--source_dir", str(recordings), "--out_dir", str(tmp_path), "--max_files", "6", *BUILTIN]
    assert audiobuff.main(flags) == 0
    said = capsys.readouterr().out
    counts = re.search(r"Prepared (\d+) items, \d+ to train and \d+ to validate on: .*never trained on: (\d+)\)", said)
    assert counts is not None
    assert int(counts[1]) + int(counts[2]) == 6
    assert (tmp_path / "prepared.json").exists()
