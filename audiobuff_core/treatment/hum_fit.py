"""Fit a hum to a stretch of a recording, and decide whether it is one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.treatment.hum_track import (
    DEMODULATION_SECONDS,
    HOP_SECONDS,
    common_phase,
    demodulated,
    fundamental_path,
    phase_of_path,
    smoothed,
    steady_amplitudes,
)

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

SHORTEST_SECONDS = 2.5
NUM_HARMONICS = 20
# A harmonic of a hum is steady: this share of its frames lies within NEAR of its mean amplitude.
NEAR = 0.4
STEADY_SHARE = 0.55
KEPT_SHARE = 0.3
FEWEST_STEADY = 3
LEAST_PROMINENCE_DB = 1.5
QUIET_SHARE = 0.25
LEAST_REDUCTION_DB = 3.0


@dataclass(frozen=True, slots=True)
class HumFit:
    """A hum: `sum over k of 2 Re(amplitudes[k - 1] * exp(j k phase))`.

    Attributes:
        phase: of the fundamental in radians, one for each sample of the fitted stretch.
        amplitudes: complex, shape [harmonics]; zero for those left alone.
        steadiness: share of frames in which the harmonics are near their mean, averaged, 0 to 1.
    """

    phase: Real
    amplitudes: Complex
    steadiness: float

    def at(self, seconds: Real, sample_rate: int) -> Real:
        """The hum at times `seconds` within the stretch, whose own rate is `sample_rate`."""
        turn = np.exp(1j * np.interp(seconds * sample_rate, np.arange(len(self.phase)), self.phase))
        total = np.zeros(len(seconds), dtype=np.complex128)
        for amplitude in self.amplitudes[: int(np.flatnonzero(self.amplitudes)[-1]) + 1][::-1]:
            total = (total + amplitude) * turn  # Horner's scheme: one multiplication a harmonic
        return np.asarray(2.0 * total.real)


def fit_hum(samples: Real, sample_rate: int) -> HumFit | None:
    """The hum in `samples`, shape [samples] at a low `sample_rate` (3000 Hz will do), or None."""
    if len(samples) < SHORTEST_SECONDS * sample_rate or not np.any(samples):
        return None
    path_hz, prominence_db = fundamental_path(samples, sample_rate)
    if prominence_db < LEAST_PROMINENCE_DB:
        return None
    phase = phase_of_path(path_hz, len(samples), sample_rate)
    amplitudes = demodulated(samples, phase, NUM_HARMONICS, sample_rate)
    ahead = common_phase(amplitudes)
    centers = (DEMODULATION_SECONDS / 2 + HOP_SECONDS * np.arange(len(ahead))) * sample_rate
    phase = phase + np.interp(np.arange(len(samples)), centers, smoothed(ahead, 1.0))
    amplitudes = demodulated(samples, phase, NUM_HARMONICS, sample_rate)
    return _verified(phase, amplitudes)


def _verified(phase: Real, amplitudes: Complex) -> HumFit | None:
    """The fit, if enough harmonics are steady and taking them out leaves the quiet moments quieter."""
    center = steady_amplitudes(amplitudes)
    near = (np.abs(amplitudes - center) < NEAR * np.abs(center)).mean(axis=0)
    steady = near > STEADY_SHARE
    if int(steady[:10].sum()) < FEWEST_STEADY:
        return None
    last = int(np.flatnonzero(steady)[-1]) + 1
    kept = (near > KEPT_SHARE) & (np.arange(len(near)) <= last)
    if _quiet_reduction_db(amplitudes[:, kept], center[kept]) < LEAST_REDUCTION_DB:
        return None
    return HumFit(phase, np.where(kept, center, 0.0), float(near[steady].mean()))


def _quiet_reduction_db(amplitudes: Complex, center: Complex) -> float:
    """By how much the quietest frames lose power: hum sounds on in every pause, a note that looks like it does not."""
    before = np.square(np.abs(amplitudes)).sum(axis=1)
    after = np.square(np.abs(amplitudes - center)).sum(axis=1)
    quiet = np.argsort(before, kind="stable")[: max(1, round(QUIET_SHARE * len(before)))]
    return float(10.0 * np.log10((before[quiet].mean() + 1e-20) / (after[quiet].mean() + 1e-20)))
