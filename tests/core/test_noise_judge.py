"""The lessons of `corpus/noise_judge.py`, and that what it teaches is what the judge in the package counts."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data.prepare_latents import main as prepare
from audiobuff_core.treatment import noise_judge
from audiobuff_core.treatment.noise_floor import floor_of

RATE = 22_050


@pytest.fixture(scope="module")
def lessons(corpus_script):
    return corpus_script("noise_judge")


@pytest.fixture(scope="module")
def plucks():
    seconds = np.arange(4 * RATE) / RATE
    decay = np.exp(-8 * (seconds % 0.5))
    return 0.2 * decay * sum(np.sin(2 * np.pi * hertz * seconds) for hertz in (220.0, 440.0, 881.0, 1764.0))


@pytest.fixture(scope="module")
def hissing(plucks):
    return plucks + 0.02 * np.random.default_rng(0).standard_normal(len(plucks))


def test_noise_is_worth_taking_away_and_music_is_not(lessons, plucks, hissing):
    hurt = lessons.example_of("a", hissing.astype(np.float32), plucks.astype(np.float32), RATE)
    clean = lessons.example_of("a", hissing.astype(np.float32), hissing.astype(np.float32), RATE)
    assert (hurt.gain_db[-10:] > 0).all()
    assert hurt.gain_db.sum() > 5.0
    assert clean.gain_db.max() <= 0.0
    assert clean.gain_db.sum() < -5.0


def test_silence_teaches_nothing(lessons):
    silence = np.zeros(4 * RATE, np.float32)
    assert lessons.example_of("a", silence, silence, RATE) is None


def test_the_package_counts_as_the_network_that_was_taught(lessons, hissing):
    weights = load_file(Path(noise_judge.__file__).with_name(noise_judge.WEIGHTS))
    judge = lessons.Judge(len(weights["first.bias"]))
    judge.load_state_dict(weights)
    floor = floor_of(hissing.astype(np.float32), RATE)
    evidence = torch.tensor(floor.evidence.T[None], dtype=torch.float32)
    with torch.no_grad():
        told = torch.sigmoid(judge(evidence, torch.ones(1, len(floor.evidence))))[0]
    assert noise_judge.certainty_of_noise(floor) == pytest.approx(told.numpy(), abs=1e-5)
    assert told[-10:].min() > 0.5


def test_several_judges_become_one_that_says_their_mean(lessons):
    torch.manual_seed(1)
    judges = [lessons.Judge() for _ in range(3)]
    evidence, inside = torch.randn(2, 14, 39), torch.ones(2, 39)
    with torch.no_grad():
        mean = torch.stack([one(evidence, inside) for one in judges]).mean(dim=0)
        assert lessons.together(judges)(evidence, inside).numpy() == pytest.approx(mean.numpy(), abs=1e-5)


def test_it_learns_from_what_was_prepared(lessons, plucks, tmp_path, monkeypatch, capsys):
    for index in range(2):
        write_audio(
            tmp_path / "in" / f"{index}.wav", Waveform(np.roll(plucks, index * 999)[None].astype(np.float32), RATE)
        )
    recipe = tmp_path / "hiss.toml"
    recipe.write_text(
        'name = "hiss"\nnum_faults = [0.0, 1.0]\n[[fault]]\nkind = "noise"\ncolor = "white"\nsnr_db = 10.0\n'
        "slope_db_per_octave = 0.0\nlow_hz = 50.0\nhigh_hz = 9000.0\n"
    )
    store, weights = str(tmp_path / "store"), tmp_path / "judge.safetensors"
    encoders = [word for name in ("codec", "structure", "semantic") for word in (f"--{name}", "builtin")]
    assert prepare(["--source_dir", str(tmp_path / "in"), "--out_dir", store, "--recipe", str(recipe), *encoders]) == 0
    monkeypatch.setattr(sys, "argv", ["noise_judge.py", "--store", store, "--to", str(weights), "--epochs", "3"])
    assert lessons.main() == 0
    assert "recordings:" in capsys.readouterr().out
    lessons.Judge(2 * lessons.WIDTH).load_state_dict(load_file(weights))
    monkeypatch.setattr(sys, "argv", ["noise_judge.py", "--store", str(tmp_path / "none"), "--to", str(weights)])
    assert lessons.main() == 1
