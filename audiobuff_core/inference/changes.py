"""Where, and by how much, one recording differs from another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Samples
from audiobuff_core.inference.guards import INAUDIBLE_DB, NEGLIGIBLE_DB

FRAME_SECONDS = 0.05
JOINED_SECONDS = 0.25
# A longer change is told as several, parted where least happens: each can be heard, and put back, by itself.
LONGEST_SECONDS = 10.0

Energies = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FrameEnergies:
    """Energy of what was there and of what was changed in frames of 50 ms, [channels, frames] each."""

    was: Energies
    change: Energies


class ChangeMeter:
    """Takes successive stretches of two recordings, of any length, and gives the energies of their frames."""

    def __init__(self, channels: int, sample_rate: int) -> None:
        """Begin with nothing."""
        self.frame = max(1, round(FRAME_SECONDS * sample_rate))
        self._rest = np.zeros((2, channels, 0), np.float32)
        self._found: list[Energies] = [np.zeros((2, channels, 0))]

    def add(self, before: Samples, after: Samples) -> None:
        """Take the next stretch, [channels, samples] each."""
        both = np.concatenate([self._rest, np.stack([before, after - before])], axis=2)
        whole = both.shape[2] - both.shape[2] % self.frame
        self._found.append(_energies(both[:, :, :whole], self.frame))
        self._rest = both[:, :, whole:].copy()

    def energies(self) -> FrameEnergies:
        """Those of all that was taken; the last frame may be shorter than the others."""
        missing = -self._rest.shape[2] % self.frame
        last = _energies(np.pad(self._rest, ((0, 0), (0, 0), (0, missing))), self.frame)
        was, change = np.concatenate([*self._found, last], axis=2)
        return FrameEnergies(was, change)


def _energies(both: Samples, frame: int) -> Energies:
    framed = both.reshape(*both.shape[:2], -1, frame)
    return np.asarray(np.square(framed, dtype=np.float64).sum(axis=3))


def changed_places(energies: FrameEnergies, sample_rate: int, start_seconds: float = 0.0) -> list[dict[str, Any]]:
    """Stretches that differ by more than -40 dB of what was there, and than the rounding of 16 bits.

    Args:
        energies: of what was there and of the change.
        sample_rate: in Hz.
        start_seconds: the moment of the first frame.

    Returns:
        Of each stretch `start_seconds`, `end_seconds`, `channels` (from 0) and `size_db`, the RMS of the change there
        in dB of full scale. Stretches less than 0.25 s apart are one, of at most 10 s.
    """
    frame = max(1, round(FRAME_SECONDS * sample_rate))
    power, was = energies.change / frame, energies.was / frame
    changed = np.asarray(power > np.maximum(10 ** (INAUDIBLE_DB / 10), was * 10 ** (NEGLIGIBLE_DB / 10)))
    places = []
    for first, last in _stretches(np.asarray(changed.any(axis=0)), power.sum(axis=0), sample_rate / frame):
        rows = np.flatnonzero(changed[:, first:last].any(axis=1))
        size = float(power[rows, first:last].mean(axis=1).max())
        places.append(
            {
                "start_seconds": round(start_seconds + first * frame / sample_rate, 4),
                "end_seconds": round(start_seconds + last * frame / sample_rate, 4),
                "channels": rows.tolist(),
                "size_db": round(10 * float(np.log10(size)), 2),
            }
        )
    return places


def _stretches(changed: NDArray[np.bool_], power: Energies, frame_rate: float) -> Iterator[tuple[int, int]]:
    """First and end of each stretch of frames."""
    frames = np.flatnonzero(changed)
    if not len(frames):
        return
    longest = max(2, round(LONGEST_SECONDS * frame_rate))
    for group in np.split(frames, np.flatnonzero(np.diff(frames) > JOINED_SECONDS * frame_rate) + 1):
        first, last = int(group[0]), int(group[-1]) + 1
        while last - first > longest:
            cut = first + longest // 2 + int(power[first + longest // 2 : first + longest].argmin())
            yield first, cut
            first = cut
        yield first, last
