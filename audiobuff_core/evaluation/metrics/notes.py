"""Whether the same notes are played."""

from functools import lru_cache
from typing import Any

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric, Samples64

SAMPLE_RATE = 22_050


def notes_of(waveform: Waveform) -> tuple[Samples64, Samples64]:
    """Begin and end in seconds, shape [notes, 2], and pitch in Hz, shape [notes], of the mean of the channels."""
    import tempfile
    from pathlib import Path

    from basic_pitch.inference import predict

    from audiobuff_core.audio.write import write_audio

    with tempfile.TemporaryDirectory() as folder:  # it reads files alone
        place = Path(folder) / "sound.wav"
        write_audio(place, waveform.mono())
        _, _, events = predict(place, _network())
    events = sorted(events, key=lambda event: (event[0], event[2]))
    times = np.array([[event[0], event[1]] for event in events], dtype=np.float64).reshape(-1, 2)
    return times, 440.0 * 2 ** ((np.array([event[2] for event in events], dtype=np.float64) - 69) / 12)


@lru_cache(maxsize=1)
def _network() -> Any:  # noqa: ANN401 - of an optional package
    from pathlib import Path

    import basic_pitch
    from basic_pitch.inference import Model

    return Model(Path(basic_pitch.__file__).parent / "saved_models" / "icassp_2022" / "nmp.onnx")


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
    install="pip install --no-deps basic-pitch mir-eval pretty-midi mido resampy onnxruntime",
)
