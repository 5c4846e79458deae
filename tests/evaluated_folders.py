"""Folders of clean, damaged and restored sounds, as a user has them, and metrics that cost little."""

import numpy as np
from measured_sounds import music, noise

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.files import write_json

RATE = 16_000
CHEAP = ["si_sdr_db", "lsd_db", "silence_added_db"]
NUM_ITEMS = 7


def write(path, samples, rate=RATE):
    write_audio(path, Waveform(np.atleast_2d(samples).astype(np.float32), rate))


def clean_sound(index):
    return np.roll(music(0.8, RATE), 800 * index) * (1 + 0.1 * index)


def hiss(index, level=0.02):
    return noise(("hiss", index), round(0.8 * RATE), level)


def make_folders(place):
    """`clean`, `degraded` (with rows beside, of the kinds noise and hum), `half` (half of the noise) and `same`."""
    for index in range(NUM_ITEMS):
        clean, wrong = clean_sound(index), hiss(index)
        name = f"{'more/' if index == 6 else ''}item_{index}"
        write(place / "clean" / f"{name}.wav", clean)
        write(place / "degraded" / f"{name}.flac", clean + wrong)
        write(place / "half" / f"{name}.wav", clean + wrong / 2)
        write(place / "same" / f"{name}.wav", clean + wrong)
        faults = [{"kind": "noise", "parameters": {"snr_db": 3.0}}, {"kind": "hum", "parameters": {"hertz": 50.0}}]
        row = {"track_id": name, "audio_hash": "", "variant": 0, "recipe": "audiobuff", "seed": 1}
        write_json(place / "degraded" / f"{name}.flac.json", {"row": {**row, "faults": faults[: 1 + (index < 2)]}})
        write_json(place / "half" / f"{name}.wav.json", {"seconds": 0.08})
