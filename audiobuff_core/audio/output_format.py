"""Which container and coding an output has, by its suffix."""

from dataclasses import replace
from typing import Final

import numpy as np
import soundfile

from audiobuff_core.audio.recording import Recording
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.write import DEFAULT_SUBTYPES

FORMATS: Final = {".wav": "WAV", ".flac": "FLAC", ".aiff": "AIFF", ".ogg": "OGG", ".mp3": "MP3"}
FFMPEG_CODINGS: Final = {".m4a": "aac"}
OUTPUT_SUFFIXES: Final = (*FORMATS, *FFMPEG_CODINGS)


def as_output(recording: Recording, suffix: str, sample_rate: int | None = None) -> Recording:
    """`recording` as a file with that suffix will store it, at `sample_rate` in Hz or its own.

    The same suffix means the same coding; another one the recording's own where that container can hold it exactly,
    else the usual coding there.
    """
    if sample_rate is not None and sample_rate != recording.sample_rate:
        at_rate = resample(recording.waveform(), sample_rate)
        recording = replace(recording, stored=recording.to_stored(at_rate.samples), sample_rate=sample_rate)
    suffix = suffix.lower()
    if suffix == recording.path.suffix.lower():
        return recording
    if suffix in FFMPEG_CODINGS:
        coded = replace(recording, format="", subtype=FFMPEG_CODINGS[suffix], bits=0, is_exact=False)
        return replace(coded, stored=recording.floats())
    container = FORMATS[suffix]
    if recording.is_exact and soundfile.check_format(container, recording.subtype):
        return replace(recording, format=container)
    coding = DEFAULT_SUBTYPES[suffix]
    bits = 24 if coding == "PCM_24" else 0
    made = replace(
        recording, format=container, subtype=coding, bits=bits, is_exact=coding in ("PCM_24", "FLOAT"),
        stored=np.zeros((0, 0), np.int32 if bits else np.float32),
    )  # fmt: skip
    return replace(made, stored=made.to_stored(recording.floats()))
