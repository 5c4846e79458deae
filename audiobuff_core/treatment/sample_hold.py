"""Held samples: a lower rate brought to a higher one by repeating each sample, as early converters did."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.treatment.protocols import Treated, treat_channels

Places = NDArray[np.float64]

# How many samples a value is held for, on average, and how many changes of value there must be.
LEAST_HELD, MOST_HELD, FEWEST_CHANGES = 1.2, 40.0, 500
# The share of samples like the one before that is worth a closer look, of changes that may come between the instants of
# the lower rate, and of those instants that must bring one.
LEAST_REPEATED, MOST_STRAY, LEAST_CHANGING = 0.12, 0.01, 0.3
LEAST_STRAY_BY_CHANCE, ANY_PLACES = 0.2, np.arange(1000.0)
# Half a sample: how much a change may be off.
FARTHEST_OFF = 0.52
FIRST_CHANGES, MOST_COMPARED = 64, 1 << 16
BLOCK, MARGIN, TRIED = 1 << 17, 64, 1 << 14


class Unhold:
    """Draws a smooth line, a cubic spline, through the middles of the held values; they stay what they are.

    Between them the images of the sound above half of the lower rate go, and so does the unsteadiness of instants that
    had to wait for a sample of the higher one. What folded back when the lower rate was made stays.
    """

    name = "sample_hold"

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` with lines for stairs; the very `waveform` where nothing is held at a steady rate."""

        def joined(before: Samples) -> tuple[Samples, float] | None:
            instants, share = held_instants(before)
            return (_through(before, _smoother(before, instants)), share) if len(instants) else None

        return treat_channels(self.name, waveform, joined)


def held_instants(channel: Samples) -> tuple[Places, float]:
    """The middle of each held value of `channel` [samples], in samples; none if they are not held at a steady rate.

    Also the share of changes of value that come when they must.
    """
    nothing = np.empty(0), 0.0
    if not _has_repeated(channel):
        return nothing
    changes = 1 + np.flatnonzero(channel[1:] != channel[:-1]).astype(np.float64)
    if len(changes) < FEWEST_CHANGES or _kinds_of_change(channel, changes) < FEWEST_CHANGES:
        return nothing
    for neighbours in (2, 3):
        first, held = _fitted(changes, _guess(changes, neighbours))
        if LEAST_HELD <= held <= MOST_HELD and (share := _share_in_time(changes, first, held)):
            middle = first - 0.5 + held / 2
            begin = middle - np.floor((middle + 0.5) / held) * held
            return np.arange(begin, len(channel) - 0.5, held), share
    return nothing


def _share_in_time(changes: Places, first: float, held: float) -> float:
    """The share of changes that come when they must, 0 if that proves no steady rate.

    A change comes at the first sample after its instant. Where nearly any sample would do, that proves nothing.
    """
    late = _late(changes, first, held)
    usual = np.quantile(late, (0.02, 0.98)).mean()
    stray, by_chance = (
        float((np.abs(one - usual) > FARTHEST_OFF).mean()) for one in (late, _late(ANY_PLACES, first, held))
    )
    enough = len(changes) >= LEAST_CHANGING * (changes[-1] - changes[0]) / held
    return 1 - stray if stray <= MOST_STRAY and by_chance > LEAST_STRAY_BY_CHANCE and enough else 0.0


def _late(places: Places, first: float, held: float) -> Places:
    """How long after the nearest instant each of `places` comes."""
    return places - first - held * np.round((places - first) / held)


def _has_repeated(channel: Samples) -> bool:
    """Whether enough samples are like the one before, silence aside; in blocks."""
    repeated, sounding = 0, 0
    for start in range(0, len(channel) - 1, BLOCK):
        before, now = channel[start : start + BLOCK], channel[start + 1 : start + BLOCK + 1]
        heard = now != 0
        sounding += int(heard.sum())
        repeated += int((heard & (now == before[: len(now)])).sum())
    return repeated >= LEAST_REPEATED * max(FEWEST_CHANGES, sounding)


def _kinds_of_change(channel: Samples, changes: Places) -> int:
    """How many different ones there are: few in a tone whose period is that of a pattern of equal neighbours."""
    places = changes[:MOST_COMPARED].astype(np.int64)
    return len(np.unique(channel[places - 1] + 1j * channel[places]))


def _guess(changes: Places, neighbours: int) -> float:
    """How long most values are held: the mean of the neighbouring lengths, so many, that are met most often."""
    lengths = np.diff(changes)
    count = np.bincount(lengths[lengths <= MOST_HELD + 1].astype(np.int64), minlength=neighbours)
    shortest = int(np.argmax(np.convolve(count, np.ones(neighbours, np.int64), "valid")))
    some = count[shortest : shortest + neighbours]
    return float(shortest + some @ np.arange(neighbours) / max(1, some.sum()))


def _fitted(changes: Places, held: float) -> tuple[float, float]:
    """When the changes begin, and how far they are apart: by ever more of them, counted by what is known so far."""
    first, number = changes[0], FIRST_CHANGES
    while LEAST_HELD <= held <= MOST_HELD and number < 2 * len(changes):
        some = changes[:number]
        whole = np.round((some - first) / held)
        held, first = (float(value) for value in np.polyfit(whole, some, 1))
        number *= 2
    return first, held


def _smoother(channel: Samples, instants: Places) -> Places:
    """`instants`, or the samples nearest to them if those were the ones: what leaves less beyond the lower rate."""
    some = instants[np.argmax(np.abs(channel[_nearest(instants)])) :][:TRIED]
    some = some if len(some) == min(TRIED, len(instants)) else instants[:TRIED]
    beyond = []
    for tried in (some, np.round(some)):
        line = _line(channel, tried)
        spectrum = np.abs(np.fft.rfft(line * np.hanning(len(line))))
        beyond.append(float(np.square(spectrum[round(len(line) / 2 / (some[1] - some[0])) :]).sum()))
    return instants if beyond[0] <= beyond[1] else np.round(instants)


def _nearest(instants: Places) -> NDArray[np.int64]:
    return np.round(instants).astype(np.int64)


def _through(channel: Samples, instants: Places) -> Samples:
    """`channel` [samples], but between the first and the last of `instants` the spline through it there.

    In blocks, which are not heard.
    """
    smooth = channel.copy()
    for start in range(0, len(instants) - 1, BLOCK):
        first = max(0, start - MARGIN)
        known = instants[first : start + BLOCK + MARGIN + 1]
        line = _line(channel, known)
        skipped = _first_after(instants[start]) - _first_after(known[0])
        here = slice(_first_after(instants[start]), _first_after(known[0]) + len(line))
        smooth[here] = line[skipped:]
    return smooth


def _line(channel: Samples, instants: Places) -> Samples:
    """The spline through `channel` at `instants`, at all samples from the first to the last of them."""
    from scipy.interpolate import CubicSpline

    places = np.arange(_first_after(instants[0]), instants[-1] + 1e-6)
    values = channel[_nearest(instants)].astype(np.float64)
    return np.asarray(CubicSpline(instants, values)(places).astype(np.float32))


def _first_after(instant: float) -> int:
    return int(np.ceil(instant - 1e-6))
