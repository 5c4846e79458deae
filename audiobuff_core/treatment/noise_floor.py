"""What lies under a sound all the time, band by band, and how much it is like noise.

Where nothing else sounds, steady noise makes the energies of a band's frames pile up at one level, spread as chance
spreads them. Any other sound does that less: a tone stands out of its band, lasts from frame to frame and does not
vary; what fades has no level of its own. None of it proves noise by itself, so it is left to `noise_judge`.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Samples
from audiobuff_core.treatment.short_time import ShortTime, Spectrum

Power = NDArray[np.float32]
Decibels = NDArray[np.float64]

FRAME_SECONDS = 0.0464
OVERLAP = 4
# Bands of an eighth of their frequency, at least four bins wide.
BAND_SHARE, FEWEST_BINS = 0.12, 4
FEWEST_FRAMES = 60
# Four pieces of six seconds are enough to know a floor by.
EXCERPT_SECONDS, EXCERPTS = 6.0, 4
# Frames that are this much below the loudest are digital silence.
SILENT_DB = -100.0
# Noise goes on while anything sounds: of the frames this loud against their mean, a band must not be this far below its
# floor in many.
SOUNDING_DB, ABSENT_DB = -25.0, -20.0
# The level is where most frames lie within four deviations, with at most this share of all below.
MOST_BELOW = 0.35
# Of the logarithm of an exponential law, in dB; and of the mean over n bins of a Hann window: 4.34 / sqrt(0.72 n).
DEVIATION_DB, DEVIATION_OF_MEAN_DB, INDEPENDENT_SHARE = 5.57, 4.34, 0.72
EVIDENCE = (
    "core", "below", "deviation", "persistence", "ripple", "rise", "noise_share", "octave", "width", "band_share",
    "skewness", "change", "presence", "level",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Floor:
    """The floor of a channel.

    Attributes:
        edges: first bin of each band, and the end of the last one, [bands + 1].
        power: mean power of the floor in each bin, on the scale of `transform_of(...).spectrum`, [bins].
        total: mean power of all that sounds, summed over bins.
        evidence: what speaks for and against noise, standardised by hand to about -5 to 5, [bands, EVIDENCE].
        absence: in what share of the frames in which anything sounds the floor of a band is not there, [bands].
    """

    edges: NDArray[np.int64]
    power: NDArray[np.float64]
    total: float
    evidence: NDArray[np.float64]
    absence: NDArray[np.float64]


def transform_of(sample_rate: int) -> ShortTime:
    """Frames of about 46 ms, a quarter of it apart."""
    length = 1 << round(float(np.log2(FRAME_SECONDS * sample_rate)))
    return ShortTime(length, length // OVERLAP)


def floor_of(channel: Samples, sample_rate: int) -> Floor | None:
    """The floor of `channel` [samples]; None if it is too short or silent to have one."""
    power = _power_of_excerpts(channel, sample_rate)
    energy = power.sum(axis=1)
    live = energy > 10 ** (SILENT_DB / 10) * energy.max(initial=1e-30)
    if live.sum() < FEWEST_FRAMES:
        return None
    power = np.ascontiguousarray(power[live].T)
    sounding = energy[live] > 10 ** (SOUNDING_DB / 10) * energy[live].mean()
    edges = _edges(len(power))
    total = float(power.mean(axis=1).sum())
    floor = np.empty(len(power))
    evidence, absence = np.empty((len(edges) - 1, len(EVIDENCE))), np.empty(len(edges) - 1)
    for index, (low, high) in enumerate(itertools.pairwise(edges)):
        octave = np.log2((low + high) / 2 * sample_rate / (2 * (len(power) - 1)))
        frames_db = _db(power[low:high].mean(axis=0, dtype=np.float64))
        floor[low:high], evidence[index] = _band(power[low:high], frames_db, total, octave)
        absence[index] = (frames_db[sounding] < _db(floor[low:high].mean()) + ABSENT_DB).mean()
    evidence[:, EVIDENCE.index("noise_share")] = _db(floor.sum() / total) / 20
    return Floor(edges, _smoothed(floor), total, np.clip(evidence, -5, 5), absence)


def excerpts_of(
    channel: Samples, sample_rate: int, *, seconds: float = EXCERPT_SECONDS, count: int = EXCERPTS
) -> list[Samples]:
    """Excerpts of `channel` [samples], evenly spread; the whole of it where it is no longer than they are."""
    length = round(seconds * sample_rate)
    if len(channel) <= count * length:
        return [channel]
    begins = np.linspace(0, len(channel) - length, count).astype(int)
    return [channel[begin : begin + length] for begin in begins]


def _power_of_excerpts(channel: Samples, sample_rate: int) -> Power:
    """The power of frames [frames, bins], those of all excerpts one after the other."""
    transform = transform_of(sample_rate)
    if len(channel) < transform.length:
        return np.zeros((0, transform.num_bins), np.float32)
    return np.concatenate([power_of(transform.spectrum(one)) for one in excerpts_of(channel, sample_rate)])


def power_of(spectrum: Spectrum) -> Power:
    """The squares of its sizes, of the same shape."""
    return np.asarray(np.square(spectrum.real) + np.square(spectrum.imag))


def _edges(num_bins: int) -> NDArray[np.int64]:
    edges = [1]
    while edges[-1] < num_bins:
        edges.append(min(num_bins, edges[-1] + max(FEWEST_BINS, round(BAND_SHARE * edges[-1]))))
    if len(edges) > 2 and edges[-1] - edges[-2] < FEWEST_BINS:
        del edges[-2]
    edges[0] = 0
    return np.array(edges)


def _band(
    power: Power, frames_db: Decibels, total: float, octave: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The floor of each bin of a band, `power` [bins, frames], and the evidence; the share of noise is left out.

    `frames_db` is the mean power of each frame, [frames].
    """
    num_bins = len(power)
    deviation = DEVIATION_OF_MEAN_DB / np.sqrt(INDEPENDENT_SHARE * num_bins)
    level = _level(frames_db, deviation)
    core = np.abs(frames_db - level) < 2 * deviation
    below = (frames_db < level - 2.5 * deviation) & (frames_db > level - 14.5 * deviation)
    bins_db = _db(power[:, core])
    means_db = bins_db.mean(axis=1)
    rest_db = bins_db - means_db[:, None]
    spread = float(rest_db.std())
    places = np.arange(num_bins)
    ripple = means_db - np.polyval(np.polyfit(places, means_db, 1), places)
    neighbours = core[:-1] & core[1:]
    changes = np.abs(np.diff(frames_db)[neighbours])
    pieces = np.array_split(core, 8)
    evidence = (
        core.mean(),
        np.log1p(min(3.0, float(below.sum() / core.sum()))),
        spread / DEVIATION_DB,
        _persistence(power, core, means_db),
        np.log1p(ripple.std()),
        (np.quantile(frames_db, 0.95) - level) / 20,
        0.0,
        octave / 5 - 1.8,
        frames_db[core].std() / deviation,
        max(-40.0, float(level + _db(num_bins) - _db(power.mean(axis=1, dtype=np.float64).sum()))) / 10,
        np.mean(np.square(rest_db) * rest_db) / max(spread, 1e-6) ** 3,
        changes.mean() / deviation / 2 if len(changes) else 0.0,
        np.mean([piece.any() for piece in pieces]),
        _db(power[:, core].mean(dtype=np.float64) / total) / 20,
    )
    return power[:, core].mean(axis=1, dtype=np.float64), np.array(evidence)


def _level(frames_db: Decibels, deviation: float) -> float:
    """Where most frames lie close together."""
    ordered = np.sort(frames_db)
    ends = np.searchsorted(ordered, ordered + 4 * deviation, side="right")
    count = np.arange(len(ordered))
    first = int(np.argmax(np.where(count <= MOST_BELOW * len(ordered), ends - count, 0)))
    return float(np.median(ordered[first : ends[first]]))


def _persistence(power: Power, core: NDArray[np.bool_], means_db: Decibels) -> float:
    """How much a bin's level in a frame tells of that in the next one that shares no sample with it, -1 to 1."""
    both = np.flatnonzero(core[:-OVERLAP] & core[OVERLAP:])
    if len(both) <= 5:
        return 1.0
    now, then = (_db(power[:, both + shift]) - means_db[:, None] for shift in (0, OVERLAP))
    return float(np.mean(now * then) / np.sqrt(np.mean(now**2) * np.mean(then**2) + 1e-9))


def _smoothed(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """`power` [bins] averaged in dB over five neighbours."""
    weights = np.array([1, 2, 3, 2, 1]) / 9
    return np.asarray(np.exp(np.convolve(np.pad(np.log(power + 1e-30), 2, mode="edge"), weights, "valid")))


def _db(power: NDArray[np.floating] | float) -> Decibels:
    return np.asarray(10.0 * np.log10(np.asarray(power, dtype=np.float64) + 1e-20))
