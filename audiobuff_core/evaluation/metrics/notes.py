"""Whether the same notes are played."""

import io
import logging
import tempfile
import warnings
from contextlib import redirect_stdout
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.onnx_session import one_thread_session
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric, Samples64

SAMPLE_RATE = 22_050


def notes_of(waveform: Waveform) -> tuple[Samples64, Samples64]:
    """Begin and end in seconds, shape [notes, 2], and pitch in Hz, shape [notes], of the mean of the channels."""
    events = sorted(_events(waveform.mono()), key=lambda event: (event[0], event[2])) if waveform.samples.any() else []
    times = np.array([[event[0], event[1]] for event in events], dtype=np.float64).reshape(-1, 2)
    return times, 440.0 * 2 ** ((np.array([event[2] for event in events], dtype=np.float64) - 69) / 12)


def _events(mono: Waveform) -> list[Any]:
    """Begin, end, MIDI number, loudness and bends of each note, as Basic Pitch tells them."""
    from audiobuff_core.audio.write import write_audio

    predict, network = _basic_pitch()
    # It reads files alone, talks on standard output, and warns of what it imports and divides.
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place = Path(folder) / "sound.wav"
        write_audio(place, mono)
        events: list[Any] = predict(place, network)[2]
    return events


@lru_cache(maxsize=1)
def _basic_pitch() -> tuple[Any, Any]:
    """Its function and its network, with one thread; it warns of every other runtime that it could use."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from basic_pitch.inference import Model, predict
    finally:
        logging.disable(level)
    import basic_pitch

    network = Model.__new__(Model)  # its own start takes every core
    network.model_type = Model.MODEL_TYPES.ONNX
    network.model = one_thread_session(Path(basic_pitch.__file__).parent / "saved_models" / "icassp_2022" / "nmp.onnx")
    return predict, network


def _compare(comparison: Comparison) -> float:
    from mir_eval.transcription import precision_recall_f1_overlap

    same_rate = comparison.at(SAMPLE_RATE)
    clean, estimate = same_rate.clean.derived(notes_of), same_rate.estimate.derived(notes_of)
    if not len(clean[1]):
        raise NotMeasurable("the clean recording has no notes")
    if not len(estimate[1]):
        return 0.0
    return float(precision_recall_f1_overlap(*clean, *estimate, offset_ratio=None)[2])


NOTE_F1 = Metric(
    name="note_f1",
    title="Note F1",
    better="higher",
    material=0.01,
    group="harm",
    about="F1 of the notes (Basic Pitch, Bittner et al., 2022) with onsets within 50 ms and pitches within a quarter "
    "tone; 1 is the same notes.",
    compare=_compare,
    packages=("basic_pitch", "mir_eval", "pretty_midi", "resampy", "onnxruntime"),
    install="uv sync --group notes-and-voices, or pip install --no-deps basic-pitch mir-eval pretty-midi mido resampy "
    "onnxruntime",
)
