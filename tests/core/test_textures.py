"""The drawn sounds of `corpus/textures.py`: what a model learns to leave alone."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def textures(corpus_script):
    return corpus_script("textures")


@pytest.mark.parametrize("name", ["air", "fire", "engine", "strokes"])
def test_a_sound_is_audible_finite_and_the_same_for_the_same_seed(textures, name):
    sounds = [getattr(textures, name)(22_050, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.isfinite(sounds[0]).all()
    assert np.abs(sounds[0]).max() > 1e-3
    assert np.array_equal(sounds[0], sounds[1])
    assert not np.array_equal(sounds[0], sounds[2])


def test_coloured_noise_lies_between_its_corners(textures):
    sound = textures.coloured(88_200, np.random.default_rng(0), low_hz=500, high_hz=2000, tilt=0.0)
    power = np.square(np.abs(np.fft.rfft(sound)))
    hertz = np.fft.rfftfreq(88_200, 1 / textures.SAMPLE_RATE)
    inside = power[(hertz > 500) & (hertz < 2000)].mean()
    assert power[hertz < 100].mean() < inside / 300
    assert power[hertz > 10_000].mean() < inside / 300


def test_clips_are_written_beside_the_others(textures, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["textures.py", "--to", str(tmp_path), "--count", "5", "--seconds", "0.2"])
    assert textures.main() == 0
    names = sorted(path.name for path in (tmp_path / "texture").iterdir())
    assert names == ["air_0000.flac", "air_0004.flac", "engine_0002.flac", "fire_0001.flac", "strokes_0003.flac"]
    assert "5 clips" in capsys.readouterr().out
