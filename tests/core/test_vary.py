"""The varied clips of `corpus/vary.py`: other recordings made of the same clips, as clean as they are."""

import numpy as np
import pytest
from tones import RATE, spectrum_of, tone, white

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio


@pytest.fixture(scope="module")
def vary(corpus_script):
    return corpus_script("vary")


@pytest.fixture
def clips(tmp_path):
    sounds = {"music/a": tone(500), "voice/b": tone(900, amplitude=0.1), "texture/c": white(seconds=1.0)}
    for name, samples in sounds.items():
        write_audio(tmp_path / "clips" / f"{name}.flac", Waveform(samples.astype(np.float32), RATE))
    return tmp_path / "clips"


def run(vary, monkeypatch, *flags):
    monkeypatch.setattr("sys.argv", ["vary.py", *map(str, flags)])
    return vary.main()


def test_a_tone_played_faster_is_higher_and_shorter(vary):
    faster = vary.played_at(Waveform(tone(500).astype(np.float32), RATE), 1.25)
    power, hertz = spectrum_of(faster.samples, RATE)
    assert hertz[power.argmax()] == pytest.approx(625, abs=2)
    assert faster.num_samples == pytest.approx(RATE / 1.25, abs=2)


def test_what_is_behind_has_the_level_asked_for(vary):
    front, behind = (Waveform(samples.astype(np.float32), RATE) for samples in (tone(500), tone(2000, amplitude=0.01)))
    both = vary.mixed(front, behind, -12.0)
    power, hertz = spectrum_of(both.samples, RATE)
    peaks = [power[np.abs(hertz - hz) < 5].max() for hz in (500, 2000)]
    assert 10 * np.log10(peaks[1] / peaks[0]) == pytest.approx(-12.0, abs=0.1)
    assert np.isfinite(vary.mixed(front, Waveform(np.zeros((1, 100), np.float32), RATE), 0.0).samples).all()


def test_bass_and_treble_change_by_at_most_six_db_each(vary):
    for seed in range(8):
        generator = np.random.default_rng(seed)
        for hz in (60, 1000, 12_000):
            before = Waveform(tone(hz).astype(np.float32), RATE)
            after = vary.in_another_tone(before, generator)
            assert abs(20 * np.log10(after.samples[0, RATE // 4 :].std() / before.samples.std())) < 12.1


def test_every_clip_but_textures_is_varied_and_a_seed_says_how(vary, clips, tmp_path, monkeypatch, capsys):
    for folder, seed in (("one", 1), ("again", 1), ("two", 2)):
        assert run(vary, monkeypatch, "--of", clips, "--to", tmp_path / folder, "--seed", seed) == 0
    assert "2 clips" in capsys.readouterr().out
    names = sorted(str(path.relative_to(tmp_path / "one")) for path in (tmp_path / "one").glob("*/*"))
    assert names == ["music/a_s1.flac", "voice/b_s1.flac"]
    one, again = (read_audio(tmp_path / folder / "music" / "a_s1.flac").samples for folder in ("one", "again"))
    assert np.array_equal(one, again)
    two = read_audio(tmp_path / "two" / "music" / "a_s2.flac").samples
    assert two.shape != one.shape or not np.array_equal(two, one)
    assert 0.09 < np.abs(one).max() < 0.91


def test_a_folder_without_clips_is_refused(vary, tmp_path, monkeypatch, capsys):
    assert run(vary, monkeypatch, "--of", tmp_path, "--to", tmp_path / "out") == 1
    assert "cut.py" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
