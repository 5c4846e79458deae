"""Writing audio, whole or not at all."""

import io
from pathlib import Path

import numpy as np
import soundfile

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidAudio
from audiobuff_core.files import write_bytes

DEFAULT_SUBTYPES = {".wav": "FLOAT", ".flac": "PCM_24", ".aiff": "PCM_24", ".ogg": "VORBIS", ".mp3": "MPEG_LAYER_III"}
WAV_LIMIT_BYTES = 2**32 - 2**12


def write_audio(path: str | Path, waveform: Waveform, *, subtype: str | None = None) -> None:
    """Write `waveform` to a local path or fsspec URL; the suffix names the format.

    WAV is 32-bit float (exact, and free to exceed full scale), FLAC 24-bit, unless `subtype` (libsndfile's name)
    says otherwise. The same waveform gives the same bytes for WAV and FLAC.

    Raises:
        InvalidAudio: the format is unknown, can't hold this rate or these channels, or the subtype is an integer
            one and a sample exceeds +-1.
        OutputNotWritable: the place is read-only or full.
    """
    suffix = Path(str(path)).suffix.lower()
    if suffix not in DEFAULT_SUBTYPES:
        raise InvalidAudio(f"{path}: unknown audio format {suffix!r}; expected one of {', '.join(DEFAULT_SUBTYPES)}")
    chosen = subtype or DEFAULT_SUBTYPES[suffix]
    peak = float(np.abs(waveform.samples).max())
    if chosen.startswith("PCM") and peak > 1.0:
        raise InvalidAudio(
            f"{path}: peak {peak:.4g} exceeds full scale, which {chosen} can't hold; scale it down or write float WAV"
        )
    if suffix == ".wav" and chosen == "FLOAT" and waveform.samples.nbytes < WAV_LIMIT_BYTES:
        write_bytes(path, _float_wav(waveform))
    else:
        write_bytes(path, _encoded(path, waveform, suffix, chosen))


def _float_wav(waveform: Waveform) -> bytes:
    """A float WAV made by SciPy: libsndfile's has the time of writing in it, so that no two are alike."""
    from scipy.io import wavfile

    buffer = io.BytesIO()
    wavfile.write(buffer, waveform.sample_rate, waveform.samples.T)
    return buffer.getvalue()


def _encoded(path: str | Path, waveform: Waveform, suffix: str, subtype: str) -> bytes:
    """The file that libsndfile makes; RF64 where WAV's 4 GiB do not suffice."""
    oversized = suffix == ".wav" and waveform.samples.nbytes >= WAV_LIMIT_BYTES
    container = "RF64" if oversized else suffix[1:].upper()
    buffer = io.BytesIO()
    try:
        soundfile.write(buffer, waveform.samples.T, waveform.sample_rate, format=container, subtype=subtype)
    except (soundfile.LibsndfileError, ValueError) as error:
        raise InvalidAudio(
            f"{path}: {container} {subtype} can't hold {waveform.channels} channels at {waveform.sample_rate} Hz "
            f"({error}); choose .wav"
        ) from error
    return buffer.getvalue()
