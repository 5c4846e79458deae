"""Where, and by how much, one recording differs from another."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from audiobuff_core.audio.waveform import Samples

FRAME_SECONDS = 0.05
JOINED_SECONDS = 0.25
QUIETEST_CHANGE_DB, RELATIVE_CHANGE_DB = -80.0, -30.0


def changed_places(
    pairs: Iterable[tuple[Samples, Samples]], sample_rate: int, start_seconds: float = 0.0
) -> list[dict[str, Any]]:
    """Stretches that differ by more than 30 dB below what was there, at least -80 dB of full scale.

    Args:
        pairs: successive [channels, samples] before and after; all but the last a whole number of 50 ms frames.
        sample_rate: in Hz.
        start_seconds: the moment of the first sample.

    Returns:
        Of each stretch `start_seconds`, `end_seconds`, `channels` (from 0) and `size_db`, the RMS of the change there
        in dB of full scale. Stretches less than 0.25 s apart are one.
    """
    frame = frame_samples(sample_rate)
    energies = [_frame_energies(before, after, frame) for before, after in pairs]
    if not energies:
        return []
    was, change = (np.concatenate(parts, axis=1) for parts in zip(*energies, strict=True))
    power = change / frame
    floor = np.maximum(10 ** (QUIETEST_CHANGE_DB / 10), was / frame * 10 ** (RELATIVE_CHANGE_DB / 10))
    changed = power > floor
    frames = np.flatnonzero(changed.any(axis=0))
    if not len(frames):
        return []
    places = []
    for group in np.split(frames, np.flatnonzero(np.diff(frames) * frame > JOINED_SECONDS * sample_rate) + 1):
        inside = slice(int(group[0]), int(group[-1]) + 1)
        size = float(power[:, inside].mean(axis=1).max())
        places.append(
            {
                "start_seconds": round(start_seconds + inside.start * frame / sample_rate, 4),
                "end_seconds": round(start_seconds + inside.stop * frame / sample_rate, 4),
                "channels": np.flatnonzero(changed[:, inside].any(axis=1)).tolist(),
                "size_db": round(10 * float(np.log10(size)), 2),
            }
        )
    return places


def frame_samples(sample_rate: int) -> int:
    """Samples of a 50 ms frame."""
    return max(1, round(FRAME_SECONDS * sample_rate))


def _frame_energies(before: Samples, after: Samples, frame: int) -> tuple[Any, Any]:
    """Energy of `before` and of the change in each frame, [channels, frames]."""
    missing = -before.shape[1] % frame
    was = np.pad(before, ((0, 0), (0, missing))).reshape(len(before), -1, frame)
    change = np.pad(after - before, ((0, 0), (0, missing))).reshape(len(before), -1, frame)
    return np.square(was, dtype=np.float64).sum(axis=2), np.square(change, dtype=np.float64).sum(axis=2)
