"""Long files by `audiobuff restore` and the model in the box: an hour of stereo within 3 GiB above the model."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiobuff_core.audio.read import read_audio

RATE = 44_100
RESTORED = """
import resource, sys
from audiobuff_assets.cli import main
code = main(["restore", sys.argv[1], "-o", sys.argv[2], "--preset", "fast"])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(code)
"""


def write(path, seconds, corpus, coding):
    """Bundled recordings one after the other, with a little noise, so that there is something to do everywhere."""
    clips = [read_audio(clip) for clip in sorted(corpus.glob("loop_*.flac"))]
    sound = np.concatenate([clip.samples[0] for clip in clips if clip.sample_rate == RATE])
    generator, left = np.random.default_rng(1), seconds * RATE
    with soundfile.SoundFile(path, "w", RATE, 2, coding) as file:
        while left > 0:
            noise = 0.01 * generator.standard_normal((min(left, len(sound)), 2), np.float32)
            file.write(np.clip(0.7 * sound[: len(noise), None] + noise, -1, 1))
            left -= len(noise)


def peak_bytes(path, out):
    done = subprocess.run([sys.executable, "-c", RESTORED, path, out], check=True, capture_output=True, text=True)
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * int(done.stdout.rsplit(maxsplit=1)[-1])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("coding", ["PCM_16", "PCM_24"])
def test_twenty_minutes_and_what_they_say_of_an_hour(tmp_path, coding):
    from audiobuff_assets.corpus_files import corpus_folder

    peaks = {}
    for seconds in (2, 480, 1200):  # the first is hardly more than the model itself
        write(tmp_path / "in.wav", seconds, Path(corpus_folder()), coding)
        peaks[seconds] = peak_bytes(tmp_path / "in.wav", tmp_path / f"{seconds}.wav")
    assert soundfile.info(tmp_path / "1200.wav").frames == 1200 * RATE
    growth = (peaks[1200] - peaks[480]) / 720
    assert peaks[1200] - peaks[2] + 2400 * growth < 3 * 2**30
