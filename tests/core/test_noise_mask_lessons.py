"""The lessons of `corpus/noise_mask.py`: what is drawn over a recording, what is learned from it, what is written."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tones import RATE

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.treatment import noise_mask
from audiobuff_core.treatment.noise import without_power
from audiobuff_core.treatment.noise_floor import power_of, transform_of

SECONDS = 2


@pytest.fixture(scope="module")
def lessons(corpus_script):
    module = corpus_script("noise_mask")
    module.BLOCK_SECONDS = SECONDS
    module.LESSON = replace(module.LESSON, batch=2)
    return module


def melody(seed, seconds=SECONDS + 1):
    """Notes of a quarter of a second, with three harmonics each."""
    generator = np.random.default_rng(seed)
    notes = np.repeat(220 * 2 ** (generator.integers(0, 25, 4 * seconds) / 12), RATE // 4)
    phase = 2 * np.pi * np.cumsum(notes) / RATE
    return 0.1 * sum(np.sin(k * phase) / k for k in (1, 2, 3))


@pytest.fixture(scope="module")
def recordings(lessons):
    return [lessons.Recording(f"melody{seed}", melody(seed).astype(np.float16), 0.01) for seed in range(6)]


def test_noise_is_as_loud_as_drawn_and_drifts_at_times(lessons):
    clean = melody(0)
    added = [lessons.noise_for(clean, np.random.default_rng(seed)) for seed in range(40)]
    ratios = [10 * np.log10(np.mean(clean**2) / np.mean(one**2)) for one in added]
    assert lessons.LOUDEST_SNR_DB - 2 < min(ratios) < 0 < 15 < max(ratios) < lessons.QUIETEST_SNR_DB + 2
    levels = [20 * np.log10([part.std() for part in np.array_split(one, 8)]) for one in added]
    assert 0.1 < np.mean([np.ptp(one) > 2.0 for one in levels]) < 0.6


def test_an_example_knows_its_noise_and_what_is_common(lessons, recordings):
    for seed, recording in enumerate(recordings):
        example = lessons.example_of(recording, np.random.default_rng(seed))
        bins = transform_of(RATE).num_bins
        assert example.heard.shape == example.clean.shape == example.common.shape == example.kept.shape
        assert example.noise.shape == (bins,) == (len(example.heard),)
        # |heard - clean|^2, of which the floor tells no more than a few dB too much, and less where it ends.
        added = (example.heard - 2 * example.common + example.clean).mean(axis=1)
        assert (added > -1e-3 * example.heard.max()).all()
        loud = added > 0.1 * added.max()
        assert -4.0 < np.median(10 * np.log10(example.noise[loud] / added[loud])) < 5.0
        assert 0 < example.kept.min() <= example.kept.max() <= 1


@pytest.mark.slow
def test_it_begins_with_what_the_filter_keeps_and_a_few_steps_are_better(lessons, recordings, tmp_path, monkeypatch):
    generator = np.random.default_rng(1)
    examples = [lessons.example_of(one, generator) for one in recordings]
    torch.manual_seed(0)
    network = noise_mask.NoiseMask()
    alone, before = lessons.judged(examples, None), lessons.judged(examples, network)
    assert torch.allclose(alone.error_db, before.error_db, atol=0.1)
    monkeypatch.setattr(sys.modules["teaching"], "WARMUP", 1)
    lessons.LESSON.teach(network, recordings, 8, 0, str(tmp_path / "mask.safetensors"))
    after = lessons.judged(examples, network)
    assert after.loss().item() < before.loss().item() - 0.02
    assert load_file(tmp_path / "mask.safetensors").keys() == network.state_dict().keys()


def test_the_weights_in_the_package_are_its_own_and_small():
    place = Path(noise_mask.__file__).with_name(noise_mask.WEIGHTS)
    values = load_file(place)
    assert values.keys() == noise_mask.NoiseMask().state_dict().keys()
    assert {value.dtype for value in values.values()} == {torch.float16}
    assert place.stat().st_size < 300_000


@pytest.mark.parametrize("name", ["loop_garzul", "perc_bell2", "guit_harmonics"])
def test_it_comes_nearer_to_a_recording_than_the_filter(name):
    clean = read_audio(Path(corpus_folder()) / f"{name}.flac")
    noisy = clean.samples[0] + clean.samples.std() * 0.3 * np.random.default_rng(0).standard_normal(clean.num_samples)
    noisy, rate = noisy.astype(np.float32), clean.sample_rate
    heard, added = (power_of(transform_of(rate).spectrum(one)) for one in (noisy, noisy - clean.samples[0]))
    errors = [
        np.square(without_power(noisy, rate, added.mean(axis=0), loudness=loudness) - clean.samples[0]).sum()
        for loudness in (None, float(heard.mean()))
    ]
    assert errors[1] < 0.95 * errors[0]


@pytest.mark.slow
def test_the_script_teaches_goes_on_and_says_how_it_went(lessons, tmp_path, monkeypatch, capsys):
    for seed in range(11):
        write_audio(
            tmp_path / "clips" / "music" / f"melody{seed}_00.flac",
            Waveform(melody(seed)[None].astype(np.float32), RATE),
        )
    argv = ["--clean", str(tmp_path / "clips"), "--to", str(tmp_path / "mask.safetensors"), "--steps", "1"]
    twice = [str(tmp_path / "mask.safetensors")] * 2
    for more in ([], ["--init_from", *twice, "--seed", "1"], ["--init_from", *twice, "--steps", "0"]):
        monkeypatch.setattr(sys, "argv", ["noise_mask.py", *argv, *more])
        assert lessons.main() == 0
        assert "by the filter" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["noise_mask.py", *argv, "--init_from", str(tmp_path / "none")])
    assert lessons.main() == 1
    assert "give what this script wrote" in capsys.readouterr().err
