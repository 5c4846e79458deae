"""Whether the voice still says the same notes: pitch, and where there is any."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import NotMeasurable
from audiobuff_core.evaluation.metrics.protocol import Comparison, Metric

SAMPLE_RATE = 16_000
LOWEST_HZ, HIGHEST_HZ = 65.0, 1_000.0
WINDOW_SAMPLES, HOP_SAMPLES = 1024, 256
FEWEST_FRAMES = 5
# An error of an octave or more is the same thing: another note.
LARGEST_CENTS = 1_200.0


class Voice(NamedTuple):
    """Pitch in Hz and whether there is one, a frame of 16 ms each."""

    hertz: NDArray[np.float64]
    voiced: NDArray[np.bool_]


def voice_of(waveform: Waveform) -> Voice:
    """Pitch of the mean of the channels at 16 kHz, by pYIN (Mauch and Dixon, 2014)."""
    import librosa

    samples = waveform.mono().samples[0]
    if not samples.any():
        num_frames = 1 + len(samples) // HOP_SAMPLES
        return Voice(np.full(num_frames, np.nan), np.zeros(num_frames, dtype=bool))
    hertz, voiced, _ = librosa.pyin(
        samples, fmin=LOWEST_HZ, fmax=HIGHEST_HZ, sr=SAMPLE_RATE, frame_length=WINDOW_SAMPLES, hop_length=HOP_SAMPLES,
        resolution=0.2,
    )  # fmt: skip
    return Voice(hertz, voiced)


def _voices(comparison: Comparison) -> tuple[Voice, Voice]:
    same_rate = comparison.at(SAMPLE_RATE)
    return same_rate.clean.derived(voice_of), same_rate.estimate.derived(voice_of)


def _pitch_error(comparison: Comparison) -> float:
    clean, estimate = _voices(comparison)
    both = clean.voiced & estimate.voiced
    if both.sum() < FEWEST_FRAMES:
        raise NotMeasurable(f"fewer than {FEWEST_FRAMES} frames have a pitch in both")
    cents = 1_200 * np.abs(np.log2(estimate.hertz[both] / clean.hertz[both]))
    return float(np.minimum(cents, LARGEST_CENTS).mean())


def _voicing_error(comparison: Comparison) -> float:
    clean, estimate = _voices(comparison)
    return float(np.mean(clean.voiced != estimate.voiced))


F0_ERROR = Metric(
    name="f0_cents",
    title="Pitch error",
    unit="cents",
    better="lower",
    material=1.0,
    group="harm",
    about="Mean distance of the pitch (pYIN, 65 to 1000 Hz) where clean and estimate both have one, held to an octave.",
    compare=_pitch_error,
)
VOICING_ERROR = Metric(
    name="voicing_error",
    title="Voicing error",
    better="lower",
    material=0.01,
    group="harm",
    about="Share of frames of 16 ms in which only one of clean and estimate has a pitch: notes lost or made up.",
    compare=_voicing_error,
)
