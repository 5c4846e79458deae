"""Fit a hum to a stretch of a recording, and decide whether it is one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.treatment.hum_track import (
    DEMODULATION_SECONDS,
    HOP_SECONDS,
    common_phase,
    constant_phase,
    demodulated,
    fundamental_path,
    phase_of_path,
    smoothed,
    steady_amplitudes,
    turning,
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
# What of a hum that does not drift is enough: a stretch so long, and a harmonic bare in so many of its frames.
LEVEL_SECONDS = 8.0
BARE_SHARE = 0.9
# Evident is what is near its amplitude in KEPT_SHARE of its frames, and at most this part of that share near the same
# amplitude turned by a quarter or a half.
ELSEWHERE = 0.1
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

    def at(self, sample_rate: int, fitted_rate: int) -> Real:
        """The hum of the fitted stretch, and of a second after it, at `sample_rate`; `fitted_rate` is the phase's."""
        import soxr

        beyond = np.arange(1, fitted_rate + 1)  # so that the resampler meets no sudden beginning or end
        before = self.phase[0] - (self.phase[1] - self.phase[0]) * beyond[::-1]
        after = self.phase[-1] + (self.phase[-1] - self.phase[-2]) * beyond
        turn = turning(np.concatenate([before, self.phase, after]))
        total = np.zeros(len(turn), dtype=np.complex128)
        for amplitude in self.amplitudes[: int(np.flatnonzero(self.amplitudes)[-1]) + 1][::-1]:
            total = (total + amplitude) * turn  # Horner's scheme: one multiplication a harmonic
        return np.asarray(soxr.resample(2.0 * total.real, fitted_rate, sample_rate)[sample_rate:])


def fit_hum(samples: Real, scores: tuple[Real, ...], sample_rate: int) -> HumFit | None:
    """The hum in `samples`, shape [samples] at a low `sample_rate` (3000 Hz will do), or None.

    `scores` are those of `comb_scores` for the frames inside.

    It is fitted twice, with a fundamental that drifts and, in stretches long enough to tell, with one that does not:
    there loud speech can't lead the fit astray, and where one harmonic lies bare all the time, fewer of the others have
    to be steady. The fit that takes more away is taken.
    """
    if len(samples) < SHORTEST_SECONDS * sample_rate or not np.any(samples):
        return None
    path_hz, prominence_db = fundamental_path(scores)
    if prominence_db < LEAST_PROMINENCE_DB:
        return None
    phase = phase_of_path(path_hz, len(samples), sample_rate)
    ahead = common_phase(demodulated(samples, phase, NUM_HARMONICS, sample_rate))
    centers = (DEMODULATION_SECONDS / 2 + HOP_SECONDS * np.arange(len(ahead))) * sample_rate
    drifting = phase + np.interp(np.arange(len(samples)), centers, smoothed(ahead, 1.0))
    found = [_verified(drifting, demodulated(samples, drifting, NUM_HARMONICS, sample_rate), FEWEST_STEADY)]
    if len(samples) >= LEVEL_SECONDS * sample_rate:
        level = constant_phase(samples, float(np.median(path_hz)), sample_rate)
        amplitudes = demodulated(samples, level, NUM_HARMONICS, sample_rate)
        bare = (_near(amplitudes, steady_amplitudes(amplitudes)) > BARE_SHARE).any()
        found.append(_verified(level, amplitudes, FEWEST_STEADY - int(bare)))
    return max((one for one in found if one is not None), key=lambda one: one[0], default=(0.0, None))[1]


def _verified(phase: Real, amplitudes: Complex, fewest_steady: int) -> tuple[float, HumFit] | None:
    """The fit, if enough harmonics are steady and taking them out leaves the quiet moments quieter; and by how much.

    A harmonic under speech is not steady, and still evident where it comes back to its phase far more often than to any
    other: what is no hum has no phase that it prefers.
    """
    center = steady_amplitudes(amplitudes)
    near = _near(amplitudes, center)
    elsewhere = np.max([_near(amplitudes, turn * center) for turn in (1j, -1, -1j)], axis=0)
    steady = near > STEADY_SHARE
    evident = steady | ((near > KEPT_SHARE) & (elsewhere < ELSEWHERE * near))
    if int(steady[:10].sum()) < fewest_steady or int(evident[:10].sum()) < FEWEST_STEADY:
        return None
    last = int(np.flatnonzero(evident)[-1]) + 1
    kept = (near > KEPT_SHARE) & (np.arange(len(near)) <= last)
    reduction_db = _quiet_reduction_db(amplitudes[:, kept], center[kept])
    if reduction_db < LEAST_REDUCTION_DB:
        return None
    return reduction_db, HumFit(phase, np.where(kept, center, 0.0), float(near[steady].mean()))


def _near(amplitudes: Complex, center: Complex) -> Real:
    """The share of frames of every harmonic that lie near `center`."""
    share: Real = (np.abs(amplitudes - center) < NEAR * np.abs(center)).mean(axis=0)
    return share


def _quiet_reduction_db(amplitudes: Complex, center: Complex) -> float:
    """By how much the quietest frames lose power: hum sounds on in every pause, a note that looks like it does not."""
    before = np.square(np.abs(amplitudes)).sum(axis=1)
    after = np.square(np.abs(amplitudes - center)).sum(axis=1)
    quiet = np.argsort(before, kind="stable")[: max(1, round(QUIET_SHARE * len(before)))]
    return float(10.0 * np.log10((before[quiet].mean() + 1e-20) / (after[quiet].mean() + 1e-20)))
