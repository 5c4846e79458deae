"""The judges of notes and voices: known values, and more damage is worse."""

import logging
from importlib import import_module

import numpy as np
import pytest
from measured_sounds import falls, measured, noise

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.notes import notes_of
from audiobuff_core.evaluation.metrics.speaker import speaker_embedding

NOTES_RATE, VOICE_RATE = 22_050, 16_000
TUNE_HZ = (261.63, 329.63, 392.0, 523.25)


def tune(*indices):
    """Four plucked notes, one every half second, of which those of `indices` sound."""
    times = np.arange(round(2.2 * NOTES_RATE)) / NOTES_RATE
    sound = np.zeros_like(times)
    for index in indices:
        age = times - 0.1 - 0.5 * index
        wave = sum(np.sin(2 * np.pi * number * TUNE_HZ[index] * age) / number**3 for number in range(1, 6))
        sound += 0.15 * wave * np.exp(-3 * np.clip(age, 0, None)) * ((age >= 0) & (age < 0.4))
    return sound


def voice(pitch_hz, size=1.0, seconds=2.5):
    """A buzz through the formants of a head that is `size` times as small."""
    times = np.arange(round(seconds * VOICE_RATE)) / VOICE_RATE
    pitch = pitch_hz * (1 + 0.1 * np.sin(2 * np.pi * 0.9 * times))
    phase = 2 * np.pi * np.cumsum(pitch) / VOICE_RATE
    sound = np.zeros_like(times)
    for number in range(1, 30):
        heights = [
            1 / (1 + ((number * pitch - size * hertz) / width) ** 2) for hertz, width in ((550, 90), (1500, 150))
        ]
        sound += sum(heights) * np.sin(number * phase)
    return 0.05 * sound * np.clip(np.sin(2 * np.pi * 3 * times), 0, None) ** 0.5 + noise("room", len(times), 1e-4)


def test_notes_are_found_where_they_were_played():
    times, hertz = notes_of(Waveform(tune(0, 1, 2, 3).astype(np.float32)[None], NOTES_RATE))
    assert hertz == pytest.approx(TUNE_HZ, rel=0.01)
    assert times[:, 0] == pytest.approx([0.1, 0.6, 1.1, 1.6], abs=0.05)


def test_note_f1_is_the_harmonic_mean_of_what_was_found_and_what_is_right(capsys):
    clean = tune(0, 1, 2, 3)
    values = [measured("note_f1", clean, tune(*kept), NOTES_RATE) for kept in ((0, 1, 2, 3), (0, 1, 2), (0, 1))]
    assert values == pytest.approx([1, 2 * 0.75 / 1.75, 2 * 0.5 / 1.5])
    assert falls("note_f1", values)
    assert measured("note_f1", clean, np.zeros_like(clean), NOTES_RATE) == 0
    with pytest.raises(NotMeasurable, match="no notes"):
        measured("note_f1", 0.1 * (np.arange(NOTES_RATE) == 9_000), clean[:NOTES_RATE], NOTES_RATE)  # a click
    assert capsys.readouterr().out == ""  # the judge talks
    assert logging.root.manager.disable == logging.NOTSET


def test_speaker_similarity_is_the_cosine_of_the_library_and_falls_from_voice_to_voice():
    clean, hissing, other = voice(110), voice(110) + noise("hiss", 40_000, 2e-3), voice(230, size=1.2)
    values = [measured("speaker_similarity", clean, estimate, VOICE_RATE) for estimate in (clean, hissing, other)]
    network = import_module("resemblyzer").VoiceEncoder("cpu", verbose=False)
    one, two = (network.embed_utterance(sound.astype(np.float32)) for sound in (clean, other))
    assert values[0] == pytest.approx(1, abs=1e-6)
    assert values[2] == pytest.approx(float(one @ two), abs=1e-5)
    assert falls("speaker_similarity", values)
    embedding = speaker_embedding(Waveform(clean.astype(np.float32)[None], VOICE_RATE))
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-6)
    with pytest.raises(NotMeasurable, match=r"shorter than 1\.6 s"):
        measured("speaker_similarity", clean[:16_000], clean[:16_000], VOICE_RATE)
