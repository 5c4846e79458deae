"""The lessons of `corpus/band_envelope.py`, and that what it teaches is what the network in the package counts."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data.prepare_latents import main as prepare
from audiobuff_core.treatment import band_envelope
from audiobuff_core.treatment.band_envelope import NOTHING_DB, NUM_BANDS

RATE = 44_100
EDGE_HZ = 3800.0


@pytest.fixture(scope="module")
def lessons(corpus_script):
    return corpus_script("band_envelope")


def bursts(seed, highest_hz=RATE):
    """Four seconds of noise that comes and goes twice a second, nothing above `highest_hz`."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(4 * RATE))
    spectrum[round(4 * highest_hz) :] = 0
    swell = np.sin(2 * np.pi * np.arange(4 * RATE) / RATE) ** 4
    return (0.1 * swell * np.fft.irfft(spectrum)).astype(np.float32)


def levels(seed, highest_hz=RATE):
    return band_envelope.levels_of(bursts(seed, highest_hz), RATE).astype(np.float16)


def test_the_package_counts_as_the_network_that_was_taught(lessons):
    network = lessons.Envelope()
    weights = load_file(Path(band_envelope.__file__).with_name(band_envelope.WEIGHTS))
    network.load_state_dict({name: one.float() for name, one in weights.items()})
    lost = band_envelope.lost_bands(EDGE_HZ)
    heard, _ = band_envelope.relative(levels(0, EDGE_HZ).astype(np.float32), lost)
    with torch.no_grad():
        told = network.eval()(torch.from_numpy(heard.T[None]), torch.from_numpy(lost[None]).float())[0]
    assert band_envelope.guessed(heard, lost) == pytest.approx(told.permute(0, 2, 1).numpy(), abs=1e-2)


def test_levels_are_those_of_white_noise_in_every_band():
    white = 0.1 * np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32)
    found = band_envelope.levels_of(white, RATE)
    transform = band_envelope.transform_of(RATE)
    expected = 10 * np.log10(0.01 * np.square(transform.window).sum())
    assert found.shape == (-(-10 * RATE // (2 * transform.hop)) + 2, NUM_BANDS)
    assert 10 * np.log10((10 ** (found[4:-4] / 10)).mean(axis=0)) == pytest.approx(expected, abs=0.5)


def test_a_lesson_hides_the_lost_band_and_asks_for_it(lessons):
    clean = levels(0)
    heard, lost, wanted = lessons.lesson_of(clean, clean, EDGE_HZ)
    assert (heard[:, lost] == NOTHING_DB).all()
    assert np.array_equal(heard[:, ~lost], wanted[:, ~lost])
    assert wanted[:, lost].mean() > -30
    _, _, ended = lessons.lesson_of(clean, clean, EDGE_HZ, ended_hz=EDGE_HZ)
    assert (ended[:, lost] == NOTHING_DB).all()
    louder = lessons.lesson_of(clean, clean, EDGE_HZ, louder_db=3.0)[2]
    assert (wanted - louder)[(louder > NOTHING_DB) & (wanted < band_envelope.LOUDEST_DB)] == pytest.approx(
        3.0, abs=1e-3
    )


def test_pinball_is_least_at_the_quantiles(lessons):
    wanted = torch.arange(0.0, 101.0).reshape(1, 1, 101)
    lost = torch.ones(1, 1)

    def loss(low, middle):
        guesses = torch.tensor([low, middle])[None, :, None, None].expand(1, 2, 1, 101)
        return float(lessons.pinball(guesses, wanted, lost))

    assert loss(20.0, 50.0) < min(loss(18.0, 50.0), loss(22.0, 50.0), loss(20.0, 48.0), loss(20.0, 52.0))


@pytest.mark.slow
def test_it_learns_from_what_was_prepared(lessons, tmp_path, monkeypatch, capsys):
    for index, highest_hz in enumerate((RATE, RATE, RATE, 4200.0, 4200.0, 4200.0)):
        write_audio(tmp_path / "in" / f"{index}.wav", Waveform(bursts(index, highest_hz)[None], RATE))
    recipe = tmp_path / "cut.toml"
    recipe.write_text(
        'name = "cut"\nnum_faults = [0.0, 1.0]\n[[fault]]\nkind = "band_limit"\nfamily = "sinc"\n'
        f"bandwidth_hz = {EDGE_HZ}\n"
    )
    store, weights = str(tmp_path / "store"), tmp_path / "envelope.safetensors"
    encoders = [word for name in ("codec", "structure", "semantic") for word in (f"--{name}", "builtin")]
    assert prepare(["--source_dir", str(tmp_path / "in"), "--out_dir", store, "--recipe", str(recipe), *encoders]) == 0
    monkeypatch.setattr(sys, "argv", ["band_envelope.py", "--store", store, "--to", str(weights), "--steps", "60"])
    assert lessons.main() == 0
    empty, filled = (float(word) for word in _figures(capsys.readouterr().out))
    assert filled < empty / 2
    lessons.Envelope().load_state_dict(load_file(weights))
    monkeypatch.setattr(sys, "argv", ["band_envelope.py", "--store", str(tmp_path / "none"), "--to", str(weights)])
    assert lessons.main() == 1


def _figures(told):
    """Of the recordings that were cut off and seen: dB left empty, dB filled."""
    (line,) = (one for one in told.splitlines() if one.startswith("seen:"))
    words = line.split()
    return words[words.index("off:") + 1], words[words.index("off:") + 5]
