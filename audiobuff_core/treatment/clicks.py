"""Clicks, pops and the ticks of crackle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.treatment.autoregression import interpolate, prediction_error_filter
from audiobuff_core.treatment.places import joined, repairs_of_channel, runs
from audiobuff_core.treatment.protocols import LOWEST_RATE, Repair, Treated

Samples = NDArray[np.float64]
Channel = NDArray[np.float32]

BLOCK_SECONDS = 0.093
ORDER = 32
QUIETEST_ERROR = 1e-5
NORMAL_MEDIAN = 0.6745
LONGEST_SECONDS = 0.004
JOINED_SECONDS = 0.0007
MARGIN_SECONDS = 0.00007
NEIGHBOURHOOD_SECONDS = 0.015
MOST_RISE = 1.8
LEAST_LEAD = 2.5
MOST_CLICKS_A_SECOND = 80.0
MOST_OTHERS = 0
MOST_FLAT_SHARE = 0.25
REST_QUANTILE = 0.985
LARGEST_REST = 3.5
MOST_PEAKED = 35.0
# What is long must be glaring, else it is a part of the sound: a drum, leaves, gravel.
LONG_SECONDS, LONG_DROP_DB = 0.001, 20.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a click must stand out; in standard deviations of the prediction error unless said otherwise.

    Attributes:
        suspect: to be suspected.
        outstanding: to be a click.
        most_left: where it was bridged.
        least_drop_db: by which bridging it must lower the error.
        is_alone: whether it must have no neighbours like it, in a sound that is calm but for clicks.
    """

    suspect: float = 5.0
    outstanding: float = 10.0
    most_left: float = 1.8
    least_drop_db: float = 15.0
    is_alone: bool = True


PROVEN = Bounds()
# For whoever has another witness.
POSSIBLE = Bounds(suspect=4.0, outstanding=6.0, most_left=3.0, least_drop_db=8.0, is_alone=False)


@dataclass(frozen=True, slots=True)
class Click:
    """Samples [first, end) of a channel, their values without the click, and by how many dB the error fell."""

    first: int
    end: int
    values: Samples
    drop_db: float

    @property
    def confidence(self) -> float:
        """How much of the prediction error is gone, 0 to 1."""
        return float(1.0 - 10.0 ** (-self.drop_db / 20.0))

    def is_short_or_glaring(self, sample_rate: int) -> bool:
        """Whether it lasts a millisecond at most, or the error fell by 20 dB."""
        return self.end - self.first <= LONG_SECONDS * sample_rate or self.drop_db >= LONG_DROP_DB


class Declick:
    """Replaces clicks of up to 4 ms by what the sound around them predicts.

    A click is unpredictable from its past *and* from its future, stands alone, and leaves no trace: with it bridged,
    the sound goes on as if nothing had been. An attack fails this proof, as what follows stays louder; so does the
    edge of a square wave, which nothing can bridge; and so does the pulse of a voice, which has neighbours like it.
    """

    name = "clicks"

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` with its clicks bridged; untouched below 8 kHz, and where they would be a texture of their own."""
        if waveform.sample_rate < LOWEST_RATE:
            return Treated(waveform)
        samples: NDArray[np.float32] | None = None
        repairs: list[Repair] = []
        for channel, before in enumerate(waveform.samples):
            clicks = find_clicks(before, waveform.sample_rate)
            if not clicks or len(clicks) > max(1.0, MOST_CLICKS_A_SECOND * waveform.duration_seconds):
                continue
            samples = waveform.samples.copy() if samples is None else samples
            repairs += replaced(clicks, channel, before, samples[channel], waveform.sample_rate)
        if samples is None or not repairs:
            return Treated(waveform)
        return Treated(Waveform(samples, waveform.sample_rate), tuple(repairs))


def replaced(clicks: list[Click], channel: int, before: Channel, after: Channel, sample_rate: int) -> list[Repair]:
    """Put the values of `clicks` into `after`, in place, and tell of it; `before` is the channel with them."""
    for click in clicks:
        after[click.first : click.end] = click.values.astype(np.float32)
    confidence = float(np.mean([click.confidence for click in clicks]))
    return repairs_of_channel(
        Declick.name, channel, before, after, sample_rate, confidence, joined_within_seconds=JOINED_SECONDS
    )


def find_clicks(samples: Channel, sample_rate: int, bounds: Bounds = PROVEN, *, every: int = 1) -> list[Click]:
    """The clicks of one channel, shape [samples], in order; looked for in one of `every` so many blocks of 47 ms."""
    length = max(8 * ORDER, round(BLOCK_SECONDS * sample_rate))
    quarter = length // 4
    clicks: list[Click] = []
    for first in range(0, len(samples), 2 * quarter * every):
        start, end = max(0, first - quarter), min(len(samples), first + 3 * quarter)
        if end - start < 8 * ORDER:
            continue
        block = samples[start:end].astype(np.float64)
        found = _in_block(block, sample_rate, bounds)
        clicks += [
            Click(start + one.first, start + one.end, one.values, one.drop_db)
            for one in found
            if first <= start + one.first < first + 2 * quarter and one.is_short_or_glaring(sample_rate)
        ]
    return clicks


def _in_block(block: Samples, sample_rate: int, bounds: Bounds) -> list[Click]:
    if bounds.is_alone and float(np.mean(np.diff(block) == 0.0)) > MOST_FLAT_SHARE:
        return []  # digital silence, or a waveform drawn by a computer, whose corners look like clicks
    error_filter = prediction_error_filter(block, ORDER)
    forward = _error(block, error_filter)
    deviation = _median(forward) / NORMAL_MEDIAN
    if deviation < QUIETEST_ERROR or not (forward > bounds.outstanding * deviation).any():
        return []
    error = _least_error(block, error_filter, forward)
    if not (error > bounds.outstanding * deviation).any():
        return []
    # A click spoils the very prediction that is to show it, so predict again, from a block without its suspects.
    suspects = _widened(error > bounds.suspect * deviation, max(1, round(MARGIN_SECONDS * sample_rate)))
    if not suspects.all():
        filled = block.copy()
        filled[suspects] = interpolate(block, suspects, error_filter)
        error_filter = prediction_error_filter(filled, ORDER)
        deviation = _median(_error(filled, error_filter)) / NORMAL_MEDIAN
        forward = _error(block, error_filter)
        error = _least_error(block, error_filter, forward)
    spans = joined(runs(error > bounds.suspect * deviation), max(1, round(JOINED_SECONDS * sample_rate)))
    margin = max(1, round(MARGIN_SECONDS * sample_rate))
    peaks = np.array([error[first:end].max() for first, end in spans.tolist()])
    clicks = []
    num_outstanding = int((peaks >= bounds.outstanding * deviation).sum())
    for index, (first, end) in enumerate(spans.tolist()):
        first, end = first - margin, end + margin
        inside = first >= ORDER and end <= len(block) - ORDER
        short = end - first <= LONGEST_SECONDS * sample_rate
        if not inside or not short or peaks[index] < bounds.outstanding * deviation:
            continue
        if not bounds.is_alone or _stands_alone(index, spans, peaks, error, sample_rate):
            click = _bridged(block, first, end, error_filter, deviation, bounds)
            if click is not None:
                clicks.append(click)
    if not bounds.is_alone:
        return clicks
    # Where much of what stands out is no click, such as the edges of a pulse wave, the rest is none either.
    others = num_outstanding - len(clicks)
    return clicks if others <= MOST_OTHERS and _rest_is_calm(error, forward, clicks, deviation) else []


def _rest_is_calm(error: Samples, forward: Samples, clicks: list[Click], deviation: float) -> bool:
    """Whether the sound between `clicks` is mostly as predictable as its median says, and its `forward` error noise.

    The error of a waveform of corners is zero almost everywhere and high at times: its kurtosis tells.
    """
    rest = np.arange(len(error)) >= ORDER  # before, there is no past to predict from
    for click in clicks:
        rest[max(0, click.first - ORDER) : click.end + ORDER] = False
    if not rest.any() or float(np.quantile(error[rest], REST_QUANTILE)) > LARGEST_REST * deviation:
        return False
    power = np.square(forward[rest])
    return float(np.mean(np.square(power))) <= MOST_PEAKED * float(np.mean(power)) ** 2


def _median(values: Samples) -> float:
    """The upper one of two; six times as fast as NumPy's, which looks for what is not a number too."""
    middle = len(values) // 2
    return float(np.partition(values, middle)[middle])


def _error(block: Samples, error_filter: Samples) -> Samples:
    """Sizes of the prediction error from the past."""
    return np.abs(np.convolve(block, error_filter)[: len(block)])


def _least_error(block: Samples, error_filter: Samples, forward: Samples) -> Samples:
    """Sizes of the smaller one of the prediction errors from the past, `forward`, and from the future."""
    return np.minimum(forward, _error(block[::-1], error_filter)[::-1])


def _widened(mask: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """`mask` with `margin` more samples on both sides of every run."""
    return np.asarray(np.convolve(mask, np.ones(2 * margin + 1), "same") > 0.5)


def _stands_alone(index: int, spans: NDArray[np.int64], peaks: Samples, error: Samples, sample_rate: int) -> bool:
    """Whether no suspect nearby on both sides is as high, and what follows is not louder than what went before."""
    reach = round(NEIGHBOURHOOD_SECONDS * sample_rate)
    first, end = spans[index].tolist()
    rivals = peaks > peaks[index] / LEAST_LEAD
    before = rivals & (spans[:, 1] <= first) & (spans[:, 1] > first - reach)
    after = rivals & (spans[:, 0] >= end) & (spans[:, 0] < end + reach)
    if before.any() and after.any():
        return False
    earlier = np.median(error[max(0, first - reach) : max(1, first - ORDER)])
    later = np.median(error[min(len(error) - 1, end + ORDER) : end + reach])
    return bool(later <= MOST_RISE * earlier)


def _bridged(
    block: Samples, first: int, end: int, error_filter: Samples, deviation: float, bounds: Bounds
) -> Click | None:
    """The click at [first, end), if bridging it leaves an error like everywhere else."""
    around = slice(max(0, first - 4 * ORDER), min(len(block), end + 4 * ORDER))
    part = block[around].copy()
    missing = np.zeros(len(part), dtype=np.bool_)
    missing[first - around.start : end - around.start] = True
    touched = slice(first - around.start, end - around.start + ORDER)
    before = np.convolve(part, error_filter)[touched]
    part[missing] = interpolate(part, missing, error_filter)
    after = np.convolve(part, error_filter)[touched]
    # Only the equations beyond the unknowns say something: the others could be made zero.
    left = float(np.square(after).sum()) / ORDER
    drop_db = 10.0 * float(np.log10(np.square(before).sum() / (np.square(after).sum() + 1e-30)))
    if left > (bounds.most_left * deviation) ** 2 or drop_db < bounds.least_drop_db:
        return None
    return Click(first, end, part[missing], drop_db)
