"""The lessons of `corpus/trust.py`: which corrections were worth it, and what comes of being told."""

import shutil

import numpy as np
import pytest
import torch
from tones import RATE, tone

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.inference.in_the_box import must_be_in_the_box
from audiobuff_core.inference.opened import open_model
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.models.schema import TRUST_NAME


@pytest.fixture(scope="module")
def lessons(corpus_script):
    return corpus_script("trust")


def waveform(samples):
    return Waveform(samples.astype(np.float32), RATE)


def noise(seed):
    return 0.05 * np.random.default_rng(seed).standard_normal((1, 2 * RATE))


def test_a_correction_gains_what_it_brings_nearer(lessons):
    before, after = torch.tensor([0.1, 0.001, 0.0]), torch.tensor([0.001, 0.1, 0.0])
    gains = lessons.gain_db(before, after, before, after)
    assert float(gains[0]) == pytest.approx(-float(gains[1]), abs=1e-4)
    assert gains[0] > 15
    assert gains[2] == 0


def test_noise_is_worth_taking_away_and_nothing_is_worth_changing_about_what_is_clean(lessons):
    restorer = Restorer.load()
    clean = waveform(tone(440, seconds=2.0, amplitude=0.2))
    hissing = waveform(clean.samples + noise(0))
    hurt = lessons.example_of("a", restorer, hissing, clean)
    whole = lessons.example_of("a", restorer, clean, clean)
    assert hurt.evidence.shape == whole.evidence.shape
    assert float(whole.gain_db.max()) <= 0.0
    assert float(whole.gain_db.sum()) < -1.0
    assert float(hurt.gain_db.max()) > 0.0


def test_judges_are_taught_what_tells_right_from_wrong(lessons):
    generator = torch.Generator().manual_seed(0)
    examples = []
    for index in range(64):
        right = index % 2 == 0
        evidence = torch.randn((40, 6), generator=generator) + (1.0 if right else -1.0)
        examples.append(lessons.Example(str(index), evidence, torch.full((6,), 3.0 if right else -3.0)))
    trust = lessons.taught(examples, judges=1, epochs=8, seed=0)
    certainty = trust.certainty(torch.stack([one.evidence for one in examples]))
    assert float(certainty[::2].min()) > 0.7
    assert float(certainty[1::2].max()) < 0.3
    assert "64 recordings: 9.00 of 9.00 dB a recording, 0 made worse" in lessons.told_of(trust, examples)


@pytest.mark.slow
def test_what_was_taught_lies_beside_the_weights(lessons, tmp_path, monkeypatch, capsys):
    shutil.copytree(must_be_in_the_box(), tmp_path / "model")
    for index in range(3):
        clean = tone(300 + 200 * index, seconds=1.2, amplitude=0.2)
        write_audio(tmp_path / "clean" / f"{index}.wav", waveform(clean))
        write_audio(tmp_path / "damaged" / f"{index}.wav", waveform(clean + noise(index)[:, : clean.shape[1]]))
    flags = ["--model", tmp_path / "model", "--clean", tmp_path / "clean", "--damaged", tmp_path / "damaged"]
    monkeypatch.setattr("sys.argv", ["trust.py", *map(str, flags), "--judges", "2", "--epochs", "1"])
    assert lessons.main() == 0
    told = capsys.readouterr().out
    assert "seen: 4 recordings" in told
    assert "unseen: 2 recordings" in told
    assert len(open_model(str(tmp_path / "model")).trust.judges) == 2


def test_a_folder_that_is_no_export_is_refused(lessons, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["trust.py", "--model", str(tmp_path), "--clean", "a", "--damaged", "b"])
    assert lessons.main() == 1
    assert "no export" in capsys.readouterr().err
    assert not (tmp_path / TRUST_NAME).exists()
