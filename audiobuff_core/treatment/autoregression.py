"""Linear prediction: fill missing samples with what their surroundings predict.

The least-squares interpolator of Janssen, Veldhuis and Vries, "Adaptive interpolation of discrete-time signals that
can be modeled as autoregressive processes" (IEEE Trans. ASSP 34, 1986).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_toeplitz, solveh_banded

Samples = NDArray[np.float64]
Mask = NDArray[np.bool_]

RIDGE = 1e-9


def prediction_error_filter(block: Samples, order: int) -> Samples:
    """The filter `a` (a_0 = 1, shape [order + 1]) that leaves of `block` what its past does not predict.

    Autocorrelation method under a Hann window; all zeros but a_0 for a silent block.
    """
    windowed = block * _hann_window(len(block))
    correlation = np.correlate(np.concatenate([windowed, np.zeros(order)]), windowed, "valid")
    if correlation[0] <= 0.0:
        return np.concatenate([[1.0], np.zeros(order)])
    correlation[0] *= 1.0 + RIDGE
    return np.concatenate([[1.0], -solve_toeplitz(correlation[:order], correlation[1:], check_finite=False)])


@lru_cache(maxsize=8)
def _hann_window(num_samples: int) -> Samples:
    return np.asarray(np.hanning(num_samples + 2)[1:-1])


def interpolate(
    block: Samples, missing: Mask, error_filter: Samples, *, expected: Samples | None = None, stiffness: float = 0.0
) -> Samples:
    """Values for the `missing` samples of `block` that make the prediction error smallest, in order, shape [missing].

    Samples beyond the block count as zero: keep missing ones an order away from its ends. With `expected` values the
    sum that is made smallest also holds `stiffness` times their squared misses: it is the ratio of the variance of
    the prediction error to that of the guess, and only counts where prediction says little, in long runs.
    """
    order = len(error_filter) - 1
    lags = np.correlate(error_filter, error_filter, "full")[order:]
    places = np.flatnonzero(missing)
    known = np.where(missing, 0.0, block)
    right_side = -np.convolve(known, np.concatenate([lags[:0:-1], lags]))[places + order]
    # Two unknowns see each other within `order` samples only, so the matrix has a narrow band.
    padded_lags = np.append(lags, 0.0)
    band = np.zeros((min(order, len(places) - 1) + 1, len(places)))
    band[0] = lags[0] * (1.0 + RIDGE)
    for offset in range(1, len(band)):
        distance = places[offset:] - places[:-offset]
        band[offset, : len(distance)] = padded_lags[np.minimum(distance, order + 1)]
    if expected is not None:
        band[0] += stiffness
        right_side += stiffness * expected
    return np.asarray(solveh_banded(band, right_side, lower=True, check_finite=False))
