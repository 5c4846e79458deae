"""From files as packages bring them to tracks for training: read, judged, joined, written."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.bandwidth import bandwidth_hz
from audiobuff_core.audio.clipped import clipped_share
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.errors import InvalidAudio
from audiobuff_core.seeding import numpy_generator

SAMPLE_RATE = 44_100
SHORTEST_SECONDS = 0.1
QUIETEST_PEAK = 0.02
MOST_CLIPPED_SHARE = 2e-4
LOWEST_BANDWIDTH_HZ = 5000.0
LONGEST_PIECE_SECONDS = 20.0
FADE_SECONDS = 0.02
TRACK_SECONDS = 45.0
SHORTEST_TRACK_SECONDS = 4.0
LONGEST_PAUSE_SECONDS = 0.25
PIECE_RMS = 0.1
LARGEST_PEAK = 0.95

Samples = NDArray[np.float32]


def read_recording(path: Path) -> Waveform:
    """The mono recording at `path` at 44.1 kHz.

    Raises:
        InvalidAudio: it can't be read, or is unfit to be a target of training: clipped, faint, short or dull.
    """
    waveform = resample(read_audio(path).mono(), SAMPLE_RATE)
    peak = float(np.abs(waveform.samples).max())
    if waveform.duration_seconds < SHORTEST_SECONDS or peak < QUIETEST_PEAK:
        raise InvalidAudio(f"{waveform.duration_seconds:.2f} s with a peak of {peak:.3f}: too short or too faint")
    if (share := clipped_share(waveform)) > MOST_CLIPPED_SHARE:
        raise InvalidAudio(f"{share:.2%} of the samples are clipped")
    if (reach_hz := bandwidth_hz(waveform)) < LOWEST_BANDWIDTH_HZ:
        raise InvalidAudio(f"nothing above {reach_hz:.0f} Hz")
    return waveform


def write_track(path: Path, waveform: Waveform, most_minutes: float) -> float:
    """Write the first `most_minutes` of `waveform` as FLAC, scaled down where it exceeds full scale; its seconds."""
    kept = _cut(waveform.samples[0], most_minutes * 60.0)
    kept = kept * np.float32(min(1.0, 1.0 / max(float(np.abs(kept).max()), 1e-9)))
    write_audio(path, Waveform(kept[None], SAMPLE_RATE), subtype="PCM_16")
    return len(kept) / SAMPLE_RATE


def joined_tracks(
    files: list[Path], name: str, most_minutes: float, left_out: list[tuple[str, str]]
) -> Iterator[Waveform]:
    """Tracks of about 45 s, made of the recordings of a group in an order of chance, `most_minutes` at most in all.

    What is unfit goes to `left_out` with the reason.
    """
    generator = numpy_generator("corpus", name)
    pieces: list[Samples] = []
    total_samples = joined_samples = 0
    for index in generator.permutation(len(files)):
        if total_samples >= most_minutes * 60.0 * SAMPLE_RATE:
            break
        try:
            piece = _levelled(read_recording(files[index]))
        except InvalidAudio as error:
            left_out.append((str(files[index]), str(error)))
            continue
        pause = np.zeros(int(generator.uniform(0.0, LONGEST_PAUSE_SECONDS) * SAMPLE_RATE), np.float32)
        pieces += [piece, pause]
        added = len(piece) + len(pause)
        joined_samples, total_samples = joined_samples + added, total_samples + added
        if joined_samples >= TRACK_SECONDS * SAMPLE_RATE:
            yield Waveform(np.concatenate(pieces)[None], SAMPLE_RATE)
            pieces, joined_samples = [], 0
    if joined_samples >= SHORTEST_TRACK_SECONDS * SAMPLE_RATE:
        yield Waveform(np.concatenate(pieces)[None], SAMPLE_RATE)


def _levelled(waveform: Waveform) -> Samples:
    piece = _cut(waveform.samples[0], LONGEST_PIECE_SECONDS)
    rms = float(np.sqrt(np.mean(np.square(piece.astype(np.float64)))))
    gain = min(PIECE_RMS / max(rms, 1e-9), LARGEST_PEAK / max(float(np.abs(piece).max()), 1e-9))
    return np.asarray(piece * np.float32(gain))


def _cut(samples: Samples, longest_seconds: float) -> Samples:
    """`samples`, faded out where they are cut."""
    longest = int(longest_seconds * SAMPLE_RATE)
    if len(samples) <= longest:
        return samples
    kept = samples[:longest].copy()
    fade = int(FADE_SECONDS * SAMPLE_RATE)
    kept[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return kept
