"""The lessons of `corpus/low_noise.py`: what is drawn over a recording, what is learned from it, what is written."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.treatment import low_noise_mask
from audiobuff_core.treatment.low_noise import ANALYSIS_RATE


@pytest.fixture(scope="module")
def lessons(corpus_script):
    return corpus_script("low_noise")


@pytest.fixture(scope="module")
def blocks(lessons):
    return sys.modules["noisy_blocks"]


def melody(seed, seconds=9, rate=ANALYSIS_RATE):
    """Notes of a fifth of a second, with three harmonics each."""
    generator = np.random.default_rng(seed)
    notes = 110 * 2 ** (generator.integers(0, 25, 5 * seconds) / 12)
    phase = 2 * np.pi * np.cumsum(np.repeat(notes, rate // 5)) / rate
    return (0.1 * sum(np.sin(k * phase) / k for k in (1, 2, 3))).astype(np.float32)


@pytest.fixture(scope="module")
def recordings(blocks):
    return [blocks.Recording(f"melody{seed}", melody(seed), 0.01) for seed in range(8)]


def test_without_noise_nothing_is_wanted_and_with_it_the_recording(blocks, recordings):
    generator = np.random.default_rng(0)
    examples = [blocks.example_of(one, generator) for one in recordings * 10]
    changed = [not np.array_equal(one.damaged, one.wanted) for one in examples]
    assert 0.6 < np.mean(changed) < 0.95  # low noise, clipped peaks
    assert all(one.damaged.shape == one.wanted.shape == (blocks.BLOCK,) for one in examples)
    again = [blocks.example_of(one, np.random.default_rng(5)) for one in (recordings[0], recordings[0])]
    assert np.array_equal(again[0].damaged, again[1].damaged)


def test_gusts_are_as_loud_as_drawn_and_turn_the_sound_down_at_most(blocks):
    ratios, ducks = [], []
    for seed in range(40):
        blown, duck = blocks.gusts(blocks.BLOCK, 0.01, np.random.default_rng(seed))
        ratios.append(-10 * np.log10(np.square(blown).mean() / 0.01))
        ducks.append(20 * np.log10(np.min(duck)))
    assert -13.1 < min(ratios) < -5 < 10 < max(ratios) < 18.1
    assert -12.1 < min(ducks) < -3 < max(ducks) == 0.0


@pytest.mark.slow
def test_a_step_tells_noise_from_none_and_a_few_lower_the_loss(lessons, blocks, recordings, tmp_path, monkeypatch):
    generator = np.random.default_rng(1)
    examples = [blocks.example_of(one, generator) for one in recordings * 2]
    torch.manual_seed(0)
    before = lessons.heard_by(low_noise_mask.LowNoiseMask(), examples)
    same = torch.tensor([np.array_equal(one.damaged, one.wanted) for one in examples])
    assert torch.equal(before.before_db[same], torch.full_like(before.before_db[same], lessons.FLOOR_DB))
    assert before.noisy.any()
    assert not before.noisy[same].any()
    monkeypatch.setattr(sys.modules["teaching"], "WARMUP", 1)
    to = tmp_path / "mask.safetensors"
    network = low_noise_mask.LowNoiseMask()
    replace(lessons.LESSON, batch=4).teach(network, recordings, 12, 0, str(to))
    after = lessons.heard_by(network, examples)
    assert to.exists()
    assert float(after.mask_loss.detach().mean()) < float(before.mask_loss.detach().mean())


def test_the_weights_in_the_package_are_its_own_and_small():
    place = Path(low_noise_mask.__file__).with_name(low_noise_mask.WEIGHTS)
    values = load_file(place)
    assert values.keys() == low_noise_mask.LowNoiseMask().state_dict().keys()
    assert {value.dtype for value in values.values()} == {torch.float16}
    assert place.stat().st_size < 300_000


@pytest.mark.slow
def test_the_script_teaches_and_writes(lessons, tmp_path, monkeypatch, capsys):
    for seed in range(12):
        sound = Waveform(melody(seed)[None], ANALYSIS_RATE)
        write_audio(tmp_path / "clips" / "music" / f"melody{seed}_00.flac", sound)
    argv = ["--clean", str(tmp_path / "clips"), "--to", str(tmp_path / "mask.safetensors"), "--steps", "2"]
    monkeypatch.setattr(sys, "argv", ["low_noise.py", *argv])
    assert lessons.main() == 0
    assert "blocks with low noise" in capsys.readouterr().out
    low_noise_mask.LowNoiseMask().load_state_dict(load_file(tmp_path / "mask.safetensors"))


@pytest.mark.parametrize("content", [None, b"no weights", save({"other": torch.zeros(1)})])
def test_weights_that_are_none_are_told(lessons, tmp_path, content):
    if content is not None:
        (tmp_path / "mask.safetensors").write_bytes(content)
    with pytest.raises(InvalidConfig, match=r"mask\.safetensors: .*give what this script wrote"):
        sys.modules["teaching"].read_into(low_noise_mask.LowNoiseMask(), [tmp_path / "mask.safetensors"])


def test_one_goes_on_from_the_mean_of_several(lessons, recordings, tmp_path):
    networks = [low_noise_mask.LowNoiseMask() for _ in range(3)]
    for number, network in enumerate(networks[:2]):
        lessons.LESSON.teach(network, recordings, 0, 0, str(tmp_path / f"{number}.safetensors"))
    sys.modules["teaching"].read_into(networks[2], [tmp_path / "0.safetensors", tmp_path / "1.safetensors"])
    for name, mean in networks[2].state_dict().items():
        first, second = (network.state_dict()[name].half().float() for network in networks[:2])
        assert torch.equal(mean, (first + second) / 2)


def test_an_empty_folder_is_told(lessons, tmp_path, monkeypatch, capsys):
    argv = ["--clean", str(tmp_path), "--to", str(tmp_path / "mask.safetensors")]
    monkeypatch.setattr(sys, "argv", ["low_noise.py", *argv])
    assert lessons.main() == 1
    assert "corpus/cut.py" in capsys.readouterr().err
    assert not (tmp_path / "mask.safetensors").exists()
