"""The lessons of `corpus/low_noise_judge.py`: what taking noise out gains, and what comes of being told."""

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tones import RATE

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.degradation.faults import wind
from audiobuff_core.treatment import low_noise_judge

GUSTS = {"corner_hz": 120.0, "gusts_hz": 0.6, "calm_db": -20.0, "duck_db": 0.0, "snr_db": -6.0}


@pytest.fixture(scope="module")
def lessons(corpus_script):
    return corpus_script("low_noise_judge")


def melody(seed, seconds=4):
    generator = np.random.default_rng(seed)
    phase = 2 * np.pi * np.cumsum(np.repeat(110 * 2 ** (generator.integers(0, 25, 5 * seconds) / 12), RATE // 5)) / RATE
    return 0.1 * sum(np.sin(k * phase) / k for k in (1, 2, 3))


def blown(clean, seed=0):
    return wind.apply(clean[None], RATE, GUSTS, np.random.default_rng(seed))[0]


def test_taking_wind_out_gains_and_what_is_clean_can_only_lose(lessons):
    clean = melody(0)
    hurt = lessons.example_of("a", blown(clean).astype(np.float32), clean, RATE)
    whole = lessons.example_of("a", clean.astype(np.float32), clean, RATE)
    assert hurt.gain_db > 5.0
    assert whole.gain_db <= 0.0
    assert hurt.evidence.shape == whole.evidence.shape == (len(low_noise_judge.EVIDENCE),)


def test_judges_are_taught_what_tells_right_from_wrong(lessons, monkeypatch):
    generator = np.random.default_rng(0)
    size = len(low_noise_judge.EVIDENCE)
    examples = [
        lessons.Example(str(index), generator.standard_normal(size) + sign, 3.0 * sign)
        for index in range(64)
        for sign in (1.0, -1.0)
    ]
    weights = lessons.taught(examples, judges=2, epochs=20, seed=0)
    assert lessons.told_of(weights, examples).startswith("128 examples: 1.50 of 1.50 dB each, 64 treated, 0 made worse")
    monkeypatch.setattr(low_noise_judge, "_weights", lambda: {name: one.numpy() for name, one in weights.items()})
    certainties = [low_noise_judge.certainty_of_low_noise(one.evidence) for one in examples]
    assert min(certainties[::2]) > 0.5
    assert max(certainties[1::2]) < 0.5


@pytest.mark.slow
def test_the_script_teaches_and_writes(lessons, tmp_path, monkeypatch, capsys):
    for seed in range(6):
        clean = melody(seed)
        for folder, samples in (("clean", clean), ("damaged", blown(clean, seed))):
            path = tmp_path / folder / f"{seed}.flac"
            path.parent.mkdir(exist_ok=True)
            write_audio(path, Waveform(0.5 * samples[None].astype(np.float32), RATE))
    write_audio(
        tmp_path / "textures" / "wind.flac", Waveform(blown(np.full(4 * RATE, 1e-3))[None].astype(np.float32), RATE)
    )
    place = tmp_path / "judge.safetensors"
    folders = [
        argument for name in ("clean", "damaged", "textures") for argument in (f"--{name}", str(tmp_path / name))
    ]
    monkeypatch.setattr(sys, "argv", ["low_noise_judge.py", *folders, "--to", str(place), "--epochs", "2"])
    assert lessons.main() == 0
    assert "unseen: 4 examples" in capsys.readouterr().out
    assert {name: one.shape for name, one in load_file(place).items()} == {
        name: torch.Size(one.shape) for name, one in low_noise_judge._weights().items()
    }
    monkeypatch.setattr(sys, "argv", ["low_noise_judge.py", "--clean", str(tmp_path), "--damaged", "none", "--to", "x"])
    assert lessons.main() == 1
    assert "low_noise_judge.py: " in capsys.readouterr().err
