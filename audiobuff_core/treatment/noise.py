"""Steady noise: hiss, the rush of a tape or a transmission, the floor of a bad preamplifier."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.treatment.noise_floor import EVIDENCE, Floor, Power, floor_of, power_of, transform_of
from audiobuff_core.treatment.noise_judge import certainty_of_noise
from audiobuff_core.treatment.protocols import Treated, treat_channels
from audiobuff_core.treatment.short_time import ShortTime

Bands = NDArray[np.bool_]

LEAST_CERTAINTY = 0.9
# Below, bands are narrow, and what hums there steadily is music as often as not.
LOWEST_HZ = 300.0
# Noise this far below the sound is a part of many good recordings.
FAINT_DB = -21.0
# Where next to all is floor, it is what was recorded.
MOST_SHARE = 0.93
# A sound that stops while others go on is not the noise of a recording.
MOST_ABSENT = 0.15
# The levels of a bin of noise deviate by 5.57 dB; those of tones and of what a computer drew do not.
LEAST_DEVIATION, MOST_DEVIATION = 0.7, 1.4
# How much of the floor is taken for certain, how often a sound is looked for, and by how much a bin is turned down at
# most.
FLOOR_SHARE, ROUNDS, LEAST_GAIN = 1.35, 3, 0.003
MOST_RATIO = np.float32(1e9)
# How many noisy bands tell of one between or beyond them, from how many bands away (ten are an octave and a half), and
# how far below them it must lie to be free of noise.
NEARBY, FARTHEST, ENDED_DB = 3, 10, -6.0
# How many noisy bands tell of others as many octaves away, if they span so many and their levels lie on a line, rising
# by so many dB an octave, but for so much; and how much less than that is taken for certain from `FARTHEST` on.
FEWEST_ON_LINE, LEAST_OCTAVES, MOST_OCTAVES, SLOPES, MOST_OFF_DB, BEYOND_DB = 5, 0.8, 4.0, (-9.0, 3.0), 1.0, -3.0
BLOCK_FRAMES = 1024
# The gain of a frame depends on those so far around it: four more in each round.
REACH_FRAMES = 4 * (ROUNDS + 1)


class Denoise:
    """Takes away what lies under the sound all the time, in the bands in which it is noise.

    A Wiener filter (Ephraim and Malah 1984 call its measure the a priori signal-to-noise ratio), which looks for the
    sound in what it has let through itself, around each bin and in both directions of time; a network that knows how
    music and voices go on corrects it (`noise_mask`).
    """

    name = "noise"

    def __init__(self, *, by_filter_alone: bool = False) -> None:
        """Set whether the network is left out, which takes a third of the time."""
        self._by_filter_alone = by_filter_alone

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` without steady noise; the very `waveform` where none is certain."""

        def noisy(channel: Samples, floor: Floor, certainty: NDArray[np.float64]) -> Bands:
            high = floor.edges[1:] >= LOWEST_HZ * transform_of(waveform.sample_rate).length / waveform.sample_rate
            return np.asarray(high & (certainty > LEAST_CERTAINTY))

        return without_noise(waveform, noisy, by_filter_alone=self._by_filter_alone)


def without_noise(
    waveform: Waveform,
    noisy_bands: Callable[[Samples, Floor, NDArray[np.float64]], Bands],
    *,
    by_filter_alone: bool = False,
) -> Treated:
    """`waveform` less the floor of each channel in some bands, unless it is faint or all there is.

    Whoever says so, a band is no noise whose bins do not vary as those of noise do, or that stops while others go on.

    Args:
        waveform: any.
        noisy_bands: says of a channel [samples], its floor and the judge's certainty [bands] which bands are noise.
        by_filter_alone: without the network that corrects it: in a third of the time.
    """

    def quieter(before: Samples) -> tuple[Samples, float] | None:
        floor = floor_of(before, waveform.sample_rate)
        if floor is None:
            return None
        certainty = certainty_of_noise(floor)
        deviation = floor.evidence[:, EVIDENCE.index("deviation")]
        may_be = (deviation > LEAST_DEVIATION) & (deviation < MOST_DEVIATION) & (floor.absence < MOST_ABSENT)
        noisy = may_be & noisy_bands(before, floor, np.where(may_be, certainty, 0.0))
        if not is_worth_it(floor, noisy):
            return None
        power, bins = _continued(floor, noisy)
        loudness = None if by_filter_alone else floor.total / len(power)
        quiet = without_power(before, waveform.sample_rate, power, bins, loudness=loudness)
        return quiet, float(certainty[noisy].mean())

    return treat_channels(Denoise.name, waveform, quieter)


def is_worth_it(floor: Floor, noisy: Bands) -> bool:
    """Whether the noise that `noisy` bands tell of is more than next to nothing, and anything rises above floors."""
    power, bins = floor.power, np.repeat(noisy, np.diff(floor.edges))
    if noisy.sum() >= FEWEST_ON_LINE:
        power, bins = _continued(floor, noisy)
    return (
        float(power[bins].sum()) > 10 ** (FAINT_DB / 10) * floor.total
        and float(floor.power.sum()) < MOST_SHARE * floor.total
    )


def without_power(
    channel: Samples,
    sample_rate: int,
    power: NDArray[np.float64],
    bins: Bands | slice = slice(None),
    *,
    loudness: float | None = None,
) -> Samples:
    """`channel` [samples] less noise of `power` in each bin of `transform_of(...)`, [bins], taken away in `bins` only.

    In blocks, which are not heard. With `loudness`, the mean power of a bin of the whole recording, `noise_mask`
    corrects the filter; it was taught by noise that is heard, not by that of coarse steps.
    """
    transform, reach = transform_of(sample_rate), REACH_FRAMES
    kept: Callable[[Power], Power] = partial(gains, floor=power)
    if loudness is not None:
        from audiobuff_core.treatment import noise_mask

        reach += noise_mask.REACH_FRAMES
        kept = partial(noise_mask.kept_of, noise=power, loudness=loudness, filtered=kept)
    quiet = np.empty_like(channel)
    # Whole hops: a block has its frames where its neighbours have theirs.
    step = BLOCK_FRAMES * transform.hop
    margin = reach * transform.hop + transform.length
    for first in range(0, len(channel), step):
        begin, end = max(0, first - margin), min(len(channel), first + step + margin)
        block = _block(channel[begin:end], transform, kept, bins)
        quiet[first : first + step] = block[first - begin : first - begin + step]
    return quiet


def _continued(floor: Floor, noisy: Bands) -> tuple[NDArray[np.float64], Bands]:
    """The power of the noise in each bin, and whether there is any, [bins]; the floor where there is none.

    Noise goes on under louder sounds, where no floor shows it: between and beyond the noisy bands it is as loud as in
    those nearby, or as a line through all of them says, unless what was measured there is softer; where that is much
    softer, it has come to an end.
    """
    widths = np.diff(floor.edges)
    level = np.add.reduceat(floor.power, floor.edges[:-1]) / widths
    known = np.flatnonzero(noisy)
    line = _line(floor.edges, level, known)
    power = np.where(np.repeat(noisy, widths), floor.power, 0.0)
    for band in np.flatnonzero(~noisy):
        away = np.abs(known - band)
        if line is not None:
            least = float(line[band])
            expected = least * 10 ** (BEYOND_DB / 10 * min(1.0, float(away.min()) / FARTHEST))
        elif len(known) and away.min() <= FARTHEST:
            expected = least = float(np.median(level[known[np.argsort(away, kind="stable")[:NEARBY]]]))
        else:
            continue
        if level[band] > 10 ** (ENDED_DB / 10) * least:
            bins = slice(floor.edges[band], floor.edges[band + 1])
            power[bins] = np.minimum(floor.power[bins], expected)
    return np.where(power > 0, power, floor.power), power > 0


def _line(edges: NDArray[np.int64], level: NDArray[np.float64], known: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Of noise whose level falls or rises by the same in every octave, as most does: the level of each band, [bands].

    Infinite for those too far away; None if the `known` ones do not lie on a line.
    """
    octave, level_db = np.log2((edges[:-1] + edges[1:]) / 2), 10 * np.log10(level + 1e-30)
    if len(known) < FEWEST_ON_LINE or np.ptp(octave[known]) < LEAST_OCTAVES:
        return None
    slope, start = np.polyfit(octave[known], level_db[known], 1)
    line = start + slope * octave
    off = float(np.sqrt(np.square(line[known] - level_db[known]).mean()))
    if off >= MOST_OFF_DB or not SLOPES[0] < slope < SLOPES[1]:
        return None
    away = np.abs(octave[:, None] - octave[known]).min(axis=1)
    return np.where(away <= MOST_OCTAVES, 10 ** (line / 10), np.inf)


def _block(samples: Samples, transform: ShortTime, kept: Callable[[Power], Power], bins: Bands | slice) -> Samples:
    spectrum = transform.spectrum(samples)
    taken = np.zeros(spectrum.shape, np.float32)
    taken[:, bins] = 1 - kept(power_of(spectrum))[:, bins]
    # What is taken away is made, and not what is left: where that is nothing, samples stay as they are.
    return samples - transform.samples(spectrum * taken, len(samples))


def gains(power: Power, floor: NDArray[np.float64]) -> Power:
    """What to multiply each bin of `power` [frames, bins] by to take `floor` [bins] away."""
    ratio = np.minimum(power * (1 / (FLOOR_SHARE * np.maximum(floor, 1e-30))).astype(np.float32), MOST_RATIO)
    gain: Power = np.clip(1 - 1 / np.maximum(_mean_around(ratio), 1e-9), 0, 1)
    for _ in range(ROUNDS):
        let_through = _mean_around(np.square(gain) * ratio)
        gain = let_through / (1 + let_through)
    return np.maximum(gain, LEAST_GAIN)


def _mean_around(values: Power) -> Power:
    """The mean of the nine frames by three bins around each of `values` [frames, bins]; at the ends they go on."""
    padded = np.pad(values, ((4, 4), (1, 1)), mode="edge")
    three = padded[:-2] + padded[1:-1] + padded[2:]
    nine = three[:-6] + three[3:-3] + three[6:]
    return np.asarray((nine[:, :-2] + nine[:, 1:-1] + nine[:, 2:]) * np.float32(1 / 27))
