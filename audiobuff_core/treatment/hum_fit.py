"""Fit a hum to a stretch of a recording, and decide whether it is one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.treatment.hum_track import (
    COMBS,
    DEMODULATION_SECONDS,
    HOP_SECONDS,
    LARGEST_OFFSET_SHARE,
    MAINS_HZ,
    Scores,
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
# The mean prominence that a comb of so many teeth has to have, before a closer look.
LEAST_PROMINENCE_DB = {10: 4.0, 3: 7.0}
# The comb of a loud tone is flat at the top, and its path may lie anywhere on it: phases lead it nearer, so often.
PATH_CORRECTIONS = 3
# A harmonic of a hum is steady: this share of its frames lies within NEAR of its mean amplitude.
NEAR = 0.4
STEADY_SHARE = 0.55
KEPT_SHARE = 0.3
# Evident is what is near its amplitude in KEPT_SHARE of its frames, and at most this part of that share near the same
# amplitude turned by a quarter or a half.
ELSEWHERE = 0.1
# What is enough for a hum: steady and evident harmonics of the first ten, by how many dB quiet moments become quieter,
# and seconds heard. A codec or music leaves few harmonics steady; these have to be the more evident, or deeper.
ENOUGH = ((3, 3, 3.0, 2.5), (2, 3, 4.0, 4.5), (1, 4, 4.0, 4.5), (2, 2, 8.0, 4.5))
# A tone alone, the first or second harmonic, lies bare in so many of its frames.
ALONE = (1, 1, 12.0, 4.5)
BARE_SHARE = 0.9
# A stretch so long is also heard with a fundamental that does not drift.
LEVEL_SECONDS = 8.0
QUIET_SHARE = 0.25
# In a channel beside one that hums so many harmonics are enough, and so many dB.
FEWEST_LINKED = 2
LINKED_REDUCTION_DB = 0.0


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


def fit_hum(samples: Real, scores: Scores, sample_rate: int) -> HumFit | None:
    """The hum in `samples`, shape [samples] at a low `sample_rate` (3000 Hz will do), or None.

    `scores` are those of `comb_scores` for the frames inside.

    It is looked for by all harmonics, then by the lowest alone, and fitted twice, with a fundamental that drifts and,
    in stretches long enough to tell, with one that does not: there loud speech can't lead the fit astray. The fit that
    takes more away is taken.
    """
    if len(samples) < SHORTEST_SECONDS * sample_rate or not np.any(samples):
        return None
    for num_comb, of_comb in zip(COMBS, scores, strict=True):
        path_hz = fundamental_path(of_comb, num_comb, LEAST_PROMINENCE_DB[num_comb])
        if path_hz is None:
            continue
        phase = phase_of_path(path_hz, len(samples), sample_rate)
        num_harmonics = NUM_HARMONICS if num_comb == max(COMBS) else num_comb
        ahead = common_phase(demodulated(samples, phase, num_harmonics, sample_rate))
        for _ in range(PATH_CORRECTIONS if num_comb == min(COMBS) else 0):
            path_hz = path_hz + float(np.median(np.diff(ahead))) / (2.0 * np.pi * HOP_SECONDS)
            phase = phase_of_path(path_hz, len(samples), sample_rate)
            ahead = common_phase(demodulated(samples, phase, num_harmonics, sample_rate))
        centers = (DEMODULATION_SECONDS / 2 + HOP_SECONDS * np.arange(len(ahead))) * sample_rate
        found = [
            _verified(samples, phase + np.interp(np.arange(len(samples)), centers, smoothed(ahead, 1.0)), sample_rate)
        ]
        if len(samples) >= LEVEL_SECONDS * sample_rate:
            level = constant_phase(samples, float(np.median(path_hz)), sample_rate)
            found.append(_verified(samples, level, sample_rate))
        best = max((one for one in found if one is not None), key=lambda one: one[0], default=None)
        if best is not None:
            return best[1]
    return None


def linked_fit(samples: Real, other: HumFit, sample_rate: int) -> HumFit | None:
    """The hum in `samples` at the phase of `other`, which was found in another channel at the same time; or None.

    What is known already need not be proved again: a few of its harmonics have to be evident here or as large as there.
    """
    amplitudes = demodulated(samples, other.phase, NUM_HARMONICS, sample_rate)
    center = steady_amplitudes(amplitudes)
    near, _, evident = _steadiness(amplitudes, center)
    known = other.amplitudes != 0.0
    same = known & (np.abs(center - other.amplitudes) < NEAR * np.abs(other.amplitudes))
    proved = same | (known & evident)
    if int(proved.sum()) < min(FEWEST_LINKED, int(known.sum())):
        return None
    kept = same | (known & (near > KEPT_SHARE) & (np.arange(len(near)) <= int(np.flatnonzero(proved)[-1])))
    if _quiet_reduction_db(amplitudes[:, kept], center[kept]) < LINKED_REDUCTION_DB:
        return None
    return HumFit(other.phase, np.where(kept, center, 0.0), float(near[proved].mean()))


def _verified(samples: Real, phase: Real, sample_rate: int) -> tuple[float, HumFit] | None:
    """The fit, if enough harmonics are steady and taking them out leaves the quiet moments quieter; and by how much.

    A harmonic under speech is not steady, and still evident where it comes back to its phase far more often than to any
    other: what is no hum has no phase that it prefers. A note just outside of what mains may drift by is none either.
    """
    hertz = float(phase[-1] - phase[0]) * sample_rate / (2.0 * np.pi * (len(phase) - 1))
    if min(abs(hertz / mains_hz - 1.0) for mains_hz in MAINS_HZ) > LARGEST_OFFSET_SHARE:
        return None
    amplitudes = demodulated(samples, phase, NUM_HARMONICS, sample_rate)
    center = steady_amplitudes(amplitudes)
    near, steady, evident = _steadiness(amplitudes, center)
    heard = (int(steady[:10].sum()), int(evident[:10].sum()))
    enough = [*ENOUGH, ALONE] if near[:2].max() > BARE_SHARE else list(ENOUGH)
    seconds = len(samples) / sample_rate
    asked_db = [asked[2] for asked in enough if heard[0] >= asked[0] and heard[1] >= asked[1] and seconds >= asked[3]]
    if not asked_db:
        return None
    kept = (near > KEPT_SHARE) & (np.arange(len(near)) <= int(np.flatnonzero(evident)[-1]))
    reduction_db = _quiet_reduction_db(amplitudes[:, kept], center[kept])
    if reduction_db < min(asked_db):
        return None
    return reduction_db, HumFit(phase, np.where(kept, center, 0.0), float(near[steady].mean()))


def _steadiness(amplitudes: Complex, center: Complex) -> tuple[Real, NDArray[np.bool_], NDArray[np.bool_]]:
    """Of every harmonic: the share of frames near its `center`, whether it is steady, and whether evident."""
    near = _near(amplitudes, center)
    elsewhere = np.max([_near(amplitudes, turn * center) for turn in (1j, -1, -1j)], axis=0)
    steady = near > STEADY_SHARE
    return near, steady, steady | ((near > KEPT_SHARE) & (elsewhere < ELSEWHERE * near))


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
