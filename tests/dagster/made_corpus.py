"""A corpus of noises, for tests of the lineage."""

import numpy as np
import soundfile

NUM_TRACKS, SECONDS, RATE = 16, 1.2, 44_100


def make_corpus(folder):
    """Tracks in `folder`, and a damaged stereo recording at another rate in `folder`/inbox."""
    folder.mkdir(parents=True)
    for number in range(NUM_TRACKS):
        generator = np.random.default_rng(number)
        seconds = np.arange(int(SECONDS * RATE)) / RATE
        tones = sum(np.sin(2 * np.pi * tone_hz * seconds) for tone_hz in generator.uniform(100, 8000, 5))
        samples = 0.05 * tones + 0.02 * generator.standard_normal(len(seconds))
        soundfile.write(folder / f"track{number}.wav", samples, RATE)
    (folder / "inbox").mkdir()
    noise = np.random.default_rng(99).uniform(-0.3, 0.3, (9000, 2))
    soundfile.write(folder / "inbox" / "damaged.wav", noise, 22_050)
