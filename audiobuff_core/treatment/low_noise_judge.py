"""Whether what `low_noise_mask` would take out is noise: learned from recordings that it did good or harm to.

(`corpus/low_noise_judge.py`.) Wind, traffic and brown noise have a smooth spectrum, and but for their gusts each of
their bins varies as chance has it, and by itself; notes stand out of the spectrum and last, and drums come all at once.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from audiobuff_core.treatment.noise_floor import Power

WEIGHTS = "low_noise_judge.safetensors"
LAYERS = ("first", "second", "last")
EVIDENCE = (
    "presence", "noise_share_db", "noise_ratio_db", "noisy_bins", "mean_share", "sure_share", "doubtful_share",
    "off_curve_db", "slope", "centre_octave", "prominence_db", "deviation_db", "skewness", "persistence", "coherence",
    "gusts_db", "noise_bins", "ratio_in_sound_db", "ratio_in_noise_db",
)  # fmt: skip
MOST_DEVIATIONS = 4.0
"""How far from its mean evidence is heard."""
FIRST_BIN, LEAST_DOUBT = 3, 1e-4
SURE, DOUBTFUL, NOISE, FEWEST = 0.8, 0.2, 0.7, 200
CURVE_ORDER, NEAR_BINS, AROUND_BINS = 3, 9, 17
# Frames that share no sample, and bins that share none of a Hann window's main lobe.
APART_FRAMES, APART_BINS = 4, 2
ROUNDS = 3

Values = NDArray[np.float64]


def evidence_of(power: Power, share: Power, presence: float) -> Values:
    """What speaks for and against noise, [EVIDENCE].

    Args:
        power: of all that sounds below 2 kHz, [frames, bins].
        share: of it that the mask takes for noise, 0 to 1, of the same shape.
        presence: how likely there is any to the mask, 0 to 1.
    """
    presence = min(max(presence, LEAST_DOUBT), 1 - LEAST_DOUBT)
    noise, rest = (one.mean(axis=0, dtype=np.float64)[FIRST_BIN:] for one in (share * power, (1 - share) * power))
    shares = share[:, FIRST_BIN:]
    level_db = _db(power[:, FIRST_BIN:])
    ratio_db = _db(noise) - _db(rest)
    doubtful = (shares > DOUBTFUL) & (shares < SURE)
    all_noise, all_power = float((share * power).sum(dtype=np.float64)), float(power.sum(dtype=np.float64))
    return np.array([
        np.log(presence / (1 - presence)),
        _db(all_noise / (all_power + 1e-12)), _db(all_noise / (all_power - all_noise + 1e-9)),
        (shares.mean(axis=0) > 0.5).mean(), shares.mean(), (shares > SURE).mean(), doubtful.mean(),
        *_spectrum(noise), *_statistics(level_db, shares > NOISE),
        np.average(ratio_db, weights=rest + 1e-12), np.average(ratio_db, weights=noise + 1e-12),
    ])  # fmt: skip


def _spectrum(noise: Values) -> tuple[float, float, float, float]:
    """How far it lies off a smooth curve in dB, how that curve rises, where it lies, and how far peaks stand out."""
    octave, level_db = np.log2(np.arange(FIRST_BIN, FIRST_BIN + len(noise))), _db(noise)
    weight = np.sqrt(noise / noise.max(initial=1e-30)) + 1e-9
    curve = np.polynomial.Polynomial.fit(octave, level_db, CURVE_ORDER, w=weight)
    off_db = np.sqrt(np.average(np.square(level_db - curve(octave)), weights=weight))
    peaks = _around(level_db, NEAR_BINS).max(axis=1) - np.median(_around(level_db, AROUND_BINS), axis=1)
    centre = np.average(octave, weights=weight)
    return float(off_db), float(curve.deriv()(centre)), float(centre), float(np.average(peaks, weights=weight))


def _around(values: Values, width: int) -> Values:
    return np.lib.stride_tricks.sliding_window_view(np.pad(values, width // 2, mode="edge"), width)


def _statistics(level_db: NDArray[np.floating], noisy: NDArray[np.bool_]) -> tuple[float, ...]:
    """How levels vary where they are `noisy` [frames, bins] but for each bin's mean and each frame's gust.

    Deviation (5.6 dB of noise), skewness, correlation over time and over frequency, deviation of the gusts, and how
    much is noisy at all.
    """
    share = float(noisy.mean())
    if noisy.sum() < FEWEST:
        return 0.0, 0.0, 0.0, 0.0, 0.0, share
    in_bin, in_frame = (np.maximum(noisy.sum(axis=axis), 1) for axis in (0, 1))
    known = np.where(noisy, level_db, 0.0)
    gust = np.zeros((len(level_db), 1))
    for _ in range(ROUNDS):
        usual = (known - np.where(noisy, gust, 0.0)).sum(axis=0) / in_bin
        gust = ((known - np.where(noisy, usual, 0.0)).sum(axis=1) / in_frame)[:, None]
    left = np.where(noisy, level_db - usual - gust, 0.0)
    values = left[noisy]
    deviation = float(values.std()) + 1e-9
    skewness = float((((values - values.mean()) / deviation) ** 3).mean())
    persistence = _correlation(left[APART_FRAMES:], left[:-APART_FRAMES], noisy[APART_FRAMES:] & noisy[:-APART_FRAMES])
    left, noisy = left.T, noisy.T
    coherence = _correlation(left[APART_BINS:], left[:-APART_BINS], noisy[APART_BINS:] & noisy[:-APART_BINS])
    heard = noisy.any(axis=0)
    return deviation, skewness, persistence / deviation**2, coherence / deviation**2, float(gust[heard].std()), share


def _correlation(values: Values, others: Values, both: NDArray[np.bool_]) -> float:
    return float((values * others)[both].mean()) if both.any() else 0.0


def certainty_of_low_noise(evidence: Values, weights: Mapping[str, NDArray[np.float32]] | None = None) -> float:
    """How sure it is, 0 to 1, that taking the noise out brings a recording nearer to what was recorded.

    Args:
        evidence: of the noise, [EVIDENCE].
        weights: of the judges, one above the other (default: those that came with the package).
    """
    weights = _weights() if weights is None else weights
    values = (evidence - weights["mean"]) / weights["deviation"]
    values = np.broadcast_to(values.clip(-MOST_DEVIATIONS, MOST_DEVIATIONS), (len(weights["last.bias"]), len(values)))
    for name in LAYERS:
        values = np.einsum("joi,ji->jo", weights[f"{name}.weight"], values) + weights[f"{name}.bias"]
        if name != LAYERS[-1]:
            values = np.maximum(values, 0.0)
    return float(1.0 / (1.0 + np.exp(-values.mean())))


@cache
def _weights() -> dict[str, NDArray[np.float32]]:
    return load(files("audiobuff_core.treatment").joinpath(WEIGHTS).read_bytes())


def _db(power: NDArray[np.floating] | float) -> Values:
    return np.asarray(10 * np.log10(np.asarray(power, np.float64) + 1e-12))
