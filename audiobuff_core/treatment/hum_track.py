"""Follow the mains frequency through a recording: one phase that all harmonics of a hum share.

Hum is the only sound whose harmonics keep their places relative to one fundamental near 50 or 60 Hz *and* their
complex amplitudes all the time. Its fundamental may drift, so it is followed in three steps: a comb over short
spectra with the smoothest path through them, the common rotation between frames, and a correction of the phase
against the mean amplitudes.
"""

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Scores = tuple[tuple[Real, ...], ...]

MAINS_HZ = (50.0, 60.0)
LARGEST_OFFSET_SHARE = 0.009
STEP_HZ = 0.02
SPECTRUM_SECONDS = 1.0
HOP_SECONDS = 0.125
DEMODULATION_SECONDS = 0.5
# A chunk stays in the processor's cache, and is too small for products of matrices by several threads.
HOPS_AT_A_TIME = 16
# Teeth of the combs that look for the fundamental: a hum is known by all of them, a faint one by its lowest alone.
COMBS = (10, 3)
COMB_RATE = 1500
FRAMES_AT_A_TIME = 128
MOST_PROMINENCE_DB = 40.0
STEPS_PER_HOP = 2
COST_OF_STEP_DB = 2.0
NEIGHBOURS_HZ = (-6.0, -5.0, -4.0, -3.0, 3.0, 4.0, 5.0, 6.0)
NUM_REFINEMENTS = 8
SMOOTHING_FRAMES = 4.0
# Where a fundamental that does not drift is looked for, about the median of the path.
OFFSET_HZ, NUM_OFFSETS = 0.002, 50


def comb_scores(samples: Real, sample_rate: int) -> Scores:
    """How far the comb of every candidate stands out in every spectrum frame, dB, [frames, candidates].

    One for each of `COMBS` and each mains. Frame `i` is centred on `SPECTRUM_SECONDS / 2 + i * HOP_SECONDS`.
    """
    import soxr
    from scipy.fft import rfft

    samples = soxr.resample(samples.astype(np.float32), sample_rate, COMB_RATE)
    window = round(SPECTRUM_SECONDS * COMB_RATE)
    hop = HOP_SECONDS * COMB_RATE
    firsts = (np.arange(1 + int((len(samples) - window) / hop)) * hop).astype(np.int64)
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)
    shape = np.hanning(window).astype(np.float32)
    size = 1 << (4 * window).bit_length()
    bins = 1 + round((max(COMBS) * max(_candidates(max(MAINS_HZ))) + max(NEIGHBOURS_HZ)) * size / COMB_RATE)
    scores: list[list[list[Real]]] = [[[] for _ in MAINS_HZ] for _ in COMBS]
    for start in range(0, len(firsts), FRAMES_AT_A_TIME):
        spectra = rfft(frames[firsts[start : start + FRAMES_AT_A_TIME]] * shape, size)[:, :bins]
        decibels = 10.0 * np.log10(np.square(spectra.real) + np.square(spectra.imag) + 1e-15)
        for which, mains_hz in enumerate(MAINS_HZ):
            for parts, found in zip(
                scores, _comb_scores(decibels, _candidates(mains_hz), COMB_RATE / size), strict=True
            ):
                parts[which].append(found)
    return tuple(tuple(np.concatenate(parts) for parts in of_comb) for of_comb in scores)


def fundamental_path(scores: tuple[Real, ...], num_comb: int, least_db: float) -> Real | None:
    """The likeliest fundamental in Hz of every frame, or None if its comb stands out by less than `least_db` in mean.

    `scores` are those of `comb_scores` for a comb of `num_comb` teeth.
    """
    best: Real | None = None
    for of_mains, mains_hz in zip(scores, MAINS_HZ, strict=True):
        if float(of_mains.max(axis=1).mean()) < least_db:  # no path can have more
            continue
        path, mean_db = _best_path(of_mains, COST_OF_STEP_DB / num_comb)
        if mean_db >= least_db:
            best, least_db = _candidates(mains_hz)[path], mean_db
    return best


def _candidates(mains_hz: float) -> Real:
    width = round(LARGEST_OFFSET_SHARE * mains_hz / STEP_HZ)
    return np.asarray(mains_hz + STEP_HZ * np.arange(-width, width + 1), dtype=np.float64)


def _comb_scores(spectra_db: Real, candidates: Real, bin_hz: float) -> list[Real]:
    """Prominence of every candidate, mean over the harmonics of each of `COMBS` in dB, [frames, candidates]."""
    scores = np.zeros((len(spectra_db), len(candidates)))
    of_combs: dict[int, Real] = {}
    for harmonic in range(1, max(COMBS) + 1):
        hertz = harmonic * candidates
        peak = spectra_db[:, np.round(hertz / bin_hz).astype(np.int64)]
        center = hertz[len(hertz) // 2]
        around = spectra_db[:, np.round((center + np.asarray(NEIGHBOURS_HZ)) / bin_hz).astype(np.int64)]
        half = len(NEIGHBOURS_HZ) // 2  # of an even number: the median lies between two
        middle = np.sort(around, axis=1)[:, half - 1 : half + 1].mean(axis=1, keepdims=True)
        scores += np.clip(peak - middle, 0.0, MOST_PROMINENCE_DB)
        if harmonic in COMBS:
            of_combs[harmonic] = scores / harmonic
    return [of_combs[num_comb] for num_comb in COMBS]


def _best_path(scores: Real, step_cost: float) -> tuple[NDArray[np.int64], float]:
    """The path of the highest sum of scores (Viterbi), which moves `STEPS_PER_HOP` candidates a frame at most."""
    num_frames, num_states = scores.shape
    padded = np.full(num_states + 2 * STEPS_PER_HOP, -np.inf)
    total = padded[STEPS_PER_HOP:-STEPS_PER_HOP]
    total[:] = scores[0]
    reachable = np.lib.stride_tricks.sliding_window_view(padded, num_states)  # those of every move, as they become
    came_from = np.zeros((num_frames, num_states), dtype=np.int64)
    moves = np.arange(-STEPS_PER_HOP, STEPS_PER_HOP + 1)
    cost = step_cost * np.abs(moves)[:, None]
    states = np.arange(num_states)
    for frame in range(1, num_frames):
        options = reachable - cost
        chosen = options.argmax(axis=0)
        came_from[frame] = states + chosen - STEPS_PER_HOP
        total[:] = options[chosen, states] + scores[frame]
    path = np.zeros(num_frames, dtype=np.int64)
    path[-1] = total.argmax()
    for frame in range(num_frames - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path, float(scores[np.arange(num_frames), path].mean())


def phase_of_path(fundamental_hz: Real, num_samples: int, sample_rate: int) -> Real:
    """The phase in radians of every sample, for fundamentals at the centres of the spectrum frames."""
    centers = (SPECTRUM_SECONDS / 2 + HOP_SECONDS * np.arange(len(fundamental_hz))) * sample_rate
    smooth = smoothed(fundamental_hz, SMOOTHING_FRAMES)
    hertz = np.interp(np.arange(num_samples), centers, smooth)
    return np.asarray(2.0 * np.pi * np.cumsum(hertz) / sample_rate)


def constant_phase(samples: Real, about_hz: float, sample_rate: int) -> Real:
    """The phase of every sample for the one fundamental near `about_hz` at which the harmonics turn the least.

    Only phases are averaged, over the whole stretch: what is loud counts no more than what is faint.
    """
    phase = 2.0 * np.pi * about_hz * np.arange(len(samples)) / sample_rate
    amplitudes = demodulated(samples, phase, max(COMBS), sample_rate)
    turns = HOP_SECONDS * np.outer(np.arange(len(amplitudes)), np.arange(1, amplitudes.shape[1] + 1))
    phases = amplitudes / (np.abs(amplitudes) + 1e-20)
    offsets = np.arange(-NUM_OFFSETS, NUM_OFFSETS + 1) * OFFSET_HZ
    phases *= np.exp(-2j * np.pi * offsets[0] * turns)
    step, coherence = np.exp(-2j * np.pi * OFFSET_HZ * turns), []
    for _ in offsets:
        coherence.append(float(np.abs(phases.mean(axis=0)).sum()))
        phases *= step
    best_hz = about_hz + offsets[int(np.argmax(coherence))]
    return np.asarray(2.0 * np.pi * best_hz * np.arange(len(samples)) / sample_rate)


def smoothed(values: Real, frames: float) -> Real:
    """`values` [frames, ...] under a Gaussian of standard deviation `frames`, the ends held."""
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(values, frames, axis=0, mode="nearest"))


def demodulated(samples: Real, phase: Real, num_harmonics: int, sample_rate: int) -> Complex:
    """Complex amplitude of every harmonic in every frame, shape [frames, harmonics]; harmonic k is column k - 1.

    A real tone `2 Re(c e^{jk phase})` gives `c`.
    """
    hop = round(HOP_SECONDS * sample_rate)
    num_hops = round(DEMODULATION_SECONDS / HOP_SECONDS)
    window = np.hanning(num_hops * hop + 2)[1:-1]
    parts = (window / window.sum()).reshape(num_hops, hop).T.astype(np.complex128)
    num_whole = len(samples) // hop
    sums = np.empty((num_harmonics, num_whole, num_hops), dtype=np.complex128)  # of hops under parts of the window
    for first in range(0, num_whole, HOPS_AT_A_TIME):
        chunk = slice(first * hop, min(first + HOPS_AT_A_TIME, num_whole) * hop)
        carrier, turn = samples[chunk].astype(np.complex128), turning(-phase[chunk])
        for harmonic in range(num_harmonics):
            carrier *= turn
            sums[harmonic, first : first + HOPS_AT_A_TIME] = carrier.reshape(-1, hop) @ parts
    num_frames = num_whole - num_hops + 1
    amplitudes: Complex = np.sum([sums[:, part : part + num_frames, part] for part in range(num_hops)], axis=0)
    return amplitudes.T


def turning(phase: Real) -> Complex:
    """`exp(j phase)`, in half the time that the complex exponential takes."""
    turn = np.empty(len(phase), dtype=np.complex128)
    turn.real, turn.imag = np.cos(phase), np.sin(phase)
    return turn


def steady_amplitudes(amplitudes: Complex) -> Complex:
    """The amplitude that each column of [frames, harmonics] keeps coming back to, whatever else sounds: a robust mean.

    Iterated weights 1 / (squared deviation + a little), from the medians of the parts on (a Cauchy location estimate).
    """
    center = np.median(amplitudes.real, axis=0) + 1j * np.median(amplitudes.imag, axis=0)
    for _ in range(10):
        spread = np.square(np.abs(amplitudes - center))
        weights = 1.0 / (spread + 0.003 * np.square(np.abs(center)) + 1e-14)
        center = (weights * amplitudes).sum(axis=0) / weights.sum(axis=0)
    return np.asarray(center)


def common_phase(amplitudes: Complex) -> Real:
    """By how many radians the fundamental runs ahead in every frame, seen by all harmonics together, shape [frames]."""
    num_harmonics = amplitudes.shape[1]
    orders = np.arange(1, num_harmonics + 1)
    turned = _common_rotation(amplitudes, orders)
    for refinement in range(NUM_REFINEMENTS):
        # Low harmonics first: a wrong phase turns the high ones round and round.
        used = slice(0, max(3, num_harmonics * (refinement + 1) // NUM_REFINEMENTS))
        aligned = amplitudes[:, used] * np.exp(-1j * orders[used] * turned[:, None])
        center = steady_amplitudes(aligned)
        deviation = np.square(np.abs(aligned - center))
        floor = np.median(deviation, axis=0) + 0.01 * np.square(np.abs(center)) + 1e-14
        weights = 1.0 / (deviation + floor)
        slope = (weights * orders[used] * (aligned * center.conj()).imag).sum(axis=1)
        curvature = (weights * np.square(orders[used]) * np.square(np.abs(center))).sum(axis=1)
        top = smoothed(slope, SMOOTHING_FRAMES / 2)
        bottom = smoothed(curvature, SMOOTHING_FRAMES / 2)
        turned = turned + np.clip(top / (bottom + 1e-12), -0.5, 0.5)
    return np.asarray(turned)


def _common_rotation(amplitudes: Complex, orders: NDArray[np.int64]) -> Real:
    """The phase that the rotation from frame to frame adds up to; what all harmonics turn by alike counts."""
    largest = min(0.5, 5.0 / len(orders))  # the fewer harmonics, the less sure is where the path led
    steps = np.arange(-largest, largest + 0.0025, 0.005)
    products = amplitudes[1:] * amplitudes[:-1].conj()
    products /= np.abs(products) + np.median(np.abs(products), axis=0) + 1e-20
    if len(orders) <= min(COMBS):
        products *= np.square(np.abs(products.mean(axis=0)))  # what is a tone turns evenly
    agreement = (products[:, None, :] * np.exp(-1j * steps[:, None] * orders)).real.sum(axis=2)
    agreement = smoothed(agreement, SMOOTHING_FRAMES / 2)
    rotation = steps[agreement.argmax(axis=1)]
    return np.concatenate([[0.0], np.cumsum(rotation)])
