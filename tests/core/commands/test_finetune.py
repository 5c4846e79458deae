"""`audiobuff finetune`: a model that became worse is not handed out."""

from pathlib import Path

import pytest

from audiobuff_assets import cli
from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.commands.finetune import hand_out
from audiobuff_core.files import read_json
from audiobuff_core.inference.restorer import Restorer


def _gain(mean: float, half: float) -> dict[str, float | bool]:
    return {"mean": mean, "low": mean - half, "high": mean + half, "excludes_zero": abs(mean) > half}


def _out(folder: Path) -> Path:
    (folder / "checkpoints").mkdir()
    for name in ("weights.safetensors", "config.json"):
        (folder / "checkpoints" / name).write_text("new")
    return folder


@pytest.mark.parametrize(
    ("si_sdr", "lsd", "said"),
    [(_gain(1.0, 0.5), _gain(0.0, 0.2), "Better."), (_gain(1.0, 2.0), _gain(-1.0, 2.0), "No clear difference")],
)
def test_a_model_that_is_not_worse_is_handed_out(si_sdr, lsd, said, tmp_path, capsys):
    assert hand_out({"si_sdr_db": si_sdr, "lsd_db": lsd}, _out(tmp_path)) == 0
    assert (tmp_path / "model" / "weights.safetensors").read_text() == "new"
    printed = capsys.readouterr().out
    assert said in printed
    assert f"SI-SDR: better by {si_sdr['mean']:+.2f} dB" in printed


def test_one_that_is_worse_is_refused_and_an_earlier_one_taken_away(tmp_path, capsys):
    (tmp_path / "model").mkdir()
    assert hand_out({"si_sdr_db": _gain(1.0, 0.5), "lsd_db": _gain(-0.4, 0.2)}, _out(tmp_path)) == 1
    assert not (tmp_path / "model").exists()
    assert "Worse by LSD: not handed out" in capsys.readouterr().err


@pytest.mark.parametrize("more", [("--noise", "nowhere"), ("--noise", ".", "--recipe", "mine.toml")])
def test_noise_that_can_not_be_used_is_one_line_before_anything_is_written(more, tmp_path, capsys):
    assert cli.main(["finetune", "--clean", str(corpus_folder()), "--out", str(tmp_path / "out"), *more]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: --noise")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_model_in_the_box_is_adapted_judged_and_handed_out(tmp_path, capsys):
    out = tmp_path / "tuned"
    wanted = ["finetune", "--clean", str(corpus_folder()), "--out", str(out), "--max_files", "16", "--variants", "1"]
    wanted += ["--max_steps", "2", "--lr", "1e-7"]
    assert cli.main(wanted) == 0
    assert "recordings are held out to judge by" in capsys.readouterr().out
    tuned = Restorer.load(str(out / "model"))
    assert tuned.meta["inference"]["denoised_first"], "it relies on the treatment of noise as the one it began with"
    assert tuned.meta["init_from"]["architecture"] == "lcfm-dit-v1"
    assert tuned.trust.sha256() == Restorer.load().trust.sha256()
    told = read_json(out / "report" / "evaluation.json")
    assert [one["name"] for one in told["systems"]] == ["after", "before"]
    assert told["counts"]["measured"] >= 2
    assert cli.main(wanted) == 0  # again: nothing is restored twice
    assert "0 restored" in capsys.readouterr().out
