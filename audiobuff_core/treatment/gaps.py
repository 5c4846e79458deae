"""Short gaps: lost packets and interruptions of exact zeros."""

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.treatment.autoregression import interpolate, prediction_error_filter
from audiobuff_core.treatment.places import repairs_of_channel, runs
from audiobuff_core.treatment.protocols import LOWEST_RATE, Repair, Treated

Samples = NDArray[np.float64]
Channel = NDArray[np.float32]
Mask = NDArray[np.bool_]

SHORTEST_SECONDS = 0.003
LONGEST_SECONDS = 0.045
CONTEXT_SECONDS = 0.06
TEST_ORDER = 24
FILL_ORDER = 200
NORMAL_MEDIAN = 0.6745
QUIETEST_RMS = 1e-3
# Both edges must be torn: the sound was not on its way to silence.
TORN = 6.0
EDGE_SECONDS = 0.001
LEAST_EDGE_SHARE = 0.3
MOST_LEVEL_CHANGE_DB = 8.0
MOST_MISFIT = 2.0
MOST_FLAT_SHARE = 0.25
# Packets that were lost: so many at least, and so many of all runs of zeros; how long one is, how long what they leave
# may be to be filled, and in frames of what length.
FEWEST_PACKETS, LEAST_ON_GRID = 5, 0.4
SHORTEST_PACKET_SECONDS, LONGEST_PACKET_SECONDS, LONGEST_LOST_SECONDS = 0.008, 0.065, 0.11
FRAME_SECONDS = 0.186
# The place of a gap is proved; what fills it remains a guess.
CONFIDENCE = 0.8


class FillGaps:
    """Fills gaps of 3 to 45 ms by what both sides predict, and lost packets, up to 110 ms, by what is sparse.

    Packets prove themselves: their zeros begin and end on one grid. Proof of other gaps: the zeros begin and end with a
    tear that the sound does not predict, and the sound after the gap is that before it, by level and by spectrum (each
    side's prediction filter serves the other). Silence between sounds is approached, or separates different ones. What
    is longer is not a matter of prediction.
    """

    name = "gaps"

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` with its short gaps filled, each channel by itself; untouched below 8 kHz."""
        if waveform.sample_rate < LOWEST_RATE:
            return Treated(waveform)
        samples: NDArray[np.float32] | None = None
        repairs: list[Repair] = []
        for channel, before in enumerate(waveform.samples):
            after = _packets_filled(before, waveform.sample_rate)
            if after is None:
                after = _gaps_filled(before, waveform.sample_rate)
            if after is None:
                continue
            samples = waveform.samples.copy() if samples is None else samples
            samples[channel] = after
            repairs += repairs_of_channel(
                self.name, channel, before, after, waveform.sample_rate, CONFIDENCE,
                joined_within_seconds=SHORTEST_SECONDS / 2,
            )  # fmt: skip
        return (
            Treated(waveform) if samples is None else Treated(Waveform(samples, waveform.sample_rate), tuple(repairs))
        )


def lost_packets(samples: Channel, sample_rate: int) -> Mask:
    """Which of `samples`, [samples], were lost in packets: runs of zeros that begin and end on one grid, amid sound.

    Sounds that a computer places on a grid may pause on it too, but they have faded when they end.
    """
    spans = runs(samples == 0.0)
    spans = spans[spans[:, 1] - spans[:, 0] >= SHORTEST_PACKET_SECONDS * sample_rate]
    spans = spans[(spans[:, 0] > 0) & (spans[:, 1] < len(samples))]
    lost = np.zeros(len(samples), dtype=np.bool_)
    packet = _packet(spans, sample_rate) if len(spans) >= FEWEST_PACKETS else None
    if packet is not None:
        spans = spans[_on_grid(spans, *packet).all(axis=1)]
        shares = [_strength(samples[:first], sample_rate) for first in spans[:, 0].tolist()]
        if np.median(shares) < LEAST_EDGE_SHARE:
            return lost
        for first, end in spans.tolist():
            lost[first:end] = True
    return lost


def _strength(before: Channel, sample_rate: int) -> float:
    """How strong the last millisecond of `before` is beside all of its end, RMS by RMS."""
    edge, end = (before[-max(1, round(seconds * sample_rate)) :] for seconds in (EDGE_SECONDS, CONTEXT_SECONDS))
    return float(np.sqrt(np.square(edge).mean() / (np.square(end).mean() + 1e-20)))


def _packet(spans: NDArray[np.int64], sample_rate: int) -> tuple[float, float] | None:
    """Length and start of packets, on whose grid most `spans` [spans, 2] lie."""
    lengths = np.unique(spans[:, 1] - spans[:, 0])
    shortest, longest = SHORTEST_PACKET_SECONDS * sample_rate, LONGEST_PACKET_SECONDS * sample_rate
    for length in sorted({one / share for one in lengths.tolist() for share in (1, 2, 3, 4, 5)}, reverse=True):
        if not shortest <= length <= longest:
            continue
        for start in spans[:: max(1, len(spans) // 4), 0].tolist():
            on = _on_grid(spans, length, start).all(axis=1)
            if on.sum() >= FEWEST_PACKETS and on.mean() >= LEAST_ON_GRID:
                return length, float(start)
    return None


def _on_grid(spans: NDArray[np.int64], length: float, start: float) -> Mask:
    """Which ends of `spans` lie on the grid, but for a sample, [spans, 2]."""
    off = (spans - start) % length
    return np.asarray(np.minimum(off, length - off) <= 1.0)


def _packets_filled(samples: Channel, sample_rate: int) -> Channel | None:
    """`samples` with lost packets found again, but for what is too long to be; None where none were lost.

    None of it is louder than all the rest, or clipped peaks would not be the highest any more.
    """
    lost = lost_packets(samples, sample_rate)
    if not lost.any():
        return None
    from audiobuff_core.treatment.sparse import Known, rebuild

    found = rebuild(samples, Known.all_but(lost), sample_rate, frame_seconds=FRAME_SECONDS)
    found = np.clip(found, samples.min(), samples.max())
    for first, end in runs(lost).tolist():
        if end - first > LONGEST_LOST_SECONDS * sample_rate:
            found[first:end] = samples[first:end]
    return found


def _gaps_filled(samples: Channel, sample_rate: int) -> Channel | None:
    """`samples` with every proven gap filled; None without one."""
    filled = [
        (first, end, values)
        for first, end in _candidates(samples, sample_rate)
        if (values := _filled(samples, first, end, sample_rate)) is not None
    ]
    after = samples.copy()
    for first, end, values in filled:
        after[first:end] = values.astype(np.float32)
    return after if filled else None


def _candidates(samples: Channel, sample_rate: int) -> list[tuple[int, int]]:
    """Runs of exact zeros of the right length that have sound enough on both sides."""
    context = round(CONTEXT_SECONDS * sample_rate)
    spans = runs(samples == 0.0)
    lengths = spans[:, 1] - spans[:, 0]
    fits = (lengths >= SHORTEST_SECONDS * sample_rate) & (lengths <= LONGEST_SECONDS * sample_rate)
    fits &= (spans[:, 0] >= context) & (spans[:, 1] <= len(samples) - context)
    return [(first, end) for first, end in spans[fits].tolist()]


def _filled(samples: Channel, first: int, end: int, sample_rate: int) -> Samples | None:
    """Values for the gap [first, end), if it is one."""
    context = round(CONTEXT_SECONDS * sample_rate)
    before = samples[first - context : first].astype(np.float64)
    after = samples[end : end + context].astype(np.float64)
    if not _one_sound(before, after) or not all(_torn(side, sample_rate) for side in (before, after[::-1])):
        return None
    block = samples[first - context : end + context].astype(np.float64)
    missing = np.zeros(len(block), dtype=np.bool_)
    missing[context : context + end - first] = True
    order = min(FILL_ORDER, context // 4)
    louder = before if np.square(before).sum() > np.square(after).sum() else after
    values = interpolate(block, missing, prediction_error_filter(louder, order))
    peak = float(np.abs(block).max())
    return np.asarray(np.clip(values, -peak, peak))


def _torn(side: Samples, sample_rate: int) -> bool:
    """Whether `side` ends at full strength, and the zeros after it contradict what it predicts."""
    edge = side[-max(1, round(EDGE_SECONDS * sample_rate)) :]
    if np.square(edge).mean() < LEAST_EDGE_SHARE**2 * np.square(side).mean():
        return False
    error_filter = prediction_error_filter(side, TEST_ORDER)
    ordinary = float(np.median(np.abs(np.convolve(side, error_filter, "valid")))) / NORMAL_MEDIAN
    into_zeros = np.convolve(np.append(side[-TEST_ORDER:], np.zeros(TEST_ORDER // 2)), error_filter)
    return float(np.abs(into_zeros[TEST_ORDER : TEST_ORDER + TEST_ORDER // 2]).max()) > TORN * ordinary


def _one_sound(before: Samples, after: Samples) -> bool:
    """Whether the level goes on, and each side is predicted nearly as well by the other's filter as by its own."""
    if max(float(np.mean(np.diff(side) == 0.0)) for side in (before, after)) > MOST_FLAT_SHARE:
        return False  # drawn by a computer: its tears and pauses are its own
    levels = [float(np.sqrt(np.mean(np.square(side)))) for side in (before, after)]
    if min(levels) < QUIETEST_RMS or abs(20.0 * np.log10(levels[0] / levels[1])) > MOST_LEVEL_CHANGE_DB:
        return False
    filters = [prediction_error_filter(side, TEST_ORDER) for side in (before, after)]
    errors = [[float(np.square(np.convolve(side, one, "valid")).mean()) for one in filters] for side in (before, after)]
    misfit = (errors[0][1] / (errors[0][0] + 1e-20)) * (errors[1][0] / (errors[1][1] + 1e-20))
    return float(np.sqrt(misfit)) <= MOST_MISFIT
