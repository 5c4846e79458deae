"""Clicks and noise that the treatments can't prove, treated where the network hears them too.

Crackle is too dense for the proof of `treatment.clicks`: every click has neighbours like it. Two witnesses that know
nothing of each other take its place: prediction from the samples around, which finds many attacks and edges besides,
and the network, which finds noise of every kind but smears what is short. Where both point the same way at nearly all
places that the first one names, and there are many, they are clicks; then the first one's repair is the exact one.

Steady noise is found by its statistics, which wind, rain and engines have too. The network has heard many of those, and
what it would leave is left; where it would take away half of the noise, all of it goes. So it is with low noise, where
its judge has doubts.
"""

from collections.abc import Callable, Collection
from functools import partial

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.treatment.chain import GUESSES, treat
from audiobuff_core.treatment.clicks import POSSIBLE, Click, Declick, find_clicks, replaced
from audiobuff_core.treatment.lost_band import FillBand
from audiobuff_core.treatment.low_noise import DenoiseLow, without_low_noise
from audiobuff_core.treatment.noise import LEAST_CERTAINTY, Denoise, gains, is_worth_it, without_noise
from audiobuff_core.treatment.noise_floor import Floor, excerpts_of, power_of, transform_of
from audiobuff_core.treatment.protocols import LOWEST_RATE, Treated

FEWEST = 16
FEWEST_A_SECOND = 2.0
LEAST_CORRELATION, MEDIAN_CORRELATION = 0.3, 0.65
LEAST_SHARE = 0.85
# Deviation of the pauses between them, relative to their mean: 1 for what comes by chance, 0 for what is regular, more
# for what comes in groups.
LEAST_UNEVEN, MOST_UNEVEN = 0.6, 2.5
# All together must be short or quite glaring, as the creaks of a door are not.
LONG_MEDIAN_SECONDS, LONG_MEDIAN_DROP_DB = 0.0005, 30.0
MARGIN_SECONDS = 0.0007
# How sure the judge of noise must be where the network is asked too, in each band and in one of them, and what share of
# it that one must take away, in how many bands at least. As sure as without a network, it needs no second witness.
POSSIBLE_NOISE, LIKELY_NOISE, LEAST_TAKEN, FEWEST_BANDS = 0.3, 0.6, 0.5, 2
# What share of low noise it must take away, and at most: whoever takes out far more hears something else there.
LOW_NOISE_TAKEN = (0.65, 2.0)
# What it hears of a longer recording: it costs more than all else.
HEARD_SECONDS, HEARD_EXCERPTS = 5.0, 2
# Of a longer recording a fifth is searched first: most have nothing to search for.
PROBED_SECONDS, PROBED_EVERY = 10.0, 5


def treat_with(
    restorer: Restorer | None, waveform: Waveform, *, without: Collection[str] = (), in_haste: bool = False
) -> Treated:
    """`waveform` after the treatments but those named in `without`; clicks and noise by agreement with `restorer`.

    Noise is left to a network that learned to take it away itself, and would miss it: only those that say that they
    are `denoised_first`, as the one in the box does, have it treated. Just so a lost band is left to a network with a
    flow, which can invent. `in_haste` treatments take the shorter way (`chain.IN_HASTE`).

    Raises:
        InvalidConfig: `without` names no treatment.
    """
    if restorer is None:
        return treat(waveform, without=without, in_haste=in_haste)
    treated = treat(waveform, without={*without, *GUESSES}, in_haste=in_haste)
    repairs = list(treated.repairs)
    last: dict[str, Callable[[Waveform], Treated]] = {Declick.name: partial(declick_by_agreement, restorer)}
    if restorer.meta["inference"].get("denoised_first"):
        last[DenoiseLow.name] = partial(denoise_low_by_agreement, restorer)
        last[Denoise.name] = partial(denoise_by_agreement, restorer, by_filter_alone=in_haste)
    if restorer.only_estimates():
        last[FillBand.name] = FillBand().treat
    for name, treatment in last.items():
        if name not in without:
            treated = treatment(treated.waveform)
            repairs += treated.repairs
    return Treated(treated.waveform, tuple(sorted(repairs, key=lambda repair: (repair.start_seconds, repair.kind))))


def treated_and_restored(restorer: Restorer, waveform: Waveform, *, steps: int | None = None) -> Waveform:
    """`waveform` after the treatments, and after the network, which is told what they found."""
    treated = treat_with(restorer, waveform)
    return restorer.restore(treated.waveform, repairs=treated.repairs, steps=steps)


def declick_by_agreement(restorer: Restorer, waveform: Waveform) -> Treated:
    """`waveform` without the clicks that prediction and `restorer` agree on; the network is asked only if there may be.

    Each channel is judged by itself: there must be at least sixteen possible clicks, and two a second, and the network
    must agree on 85 % of them, on half of them clearly, and those must come as if by chance: neither in groups, as the
    edges of a sound do, nor evenly, as the pulses of a voice.
    """
    if waveform.sample_rate < LOWEST_RATE:
        return Treated(waveform)
    fewest = max(FEWEST, FEWEST_A_SECOND * waveform.duration_seconds)
    if waveform.duration_seconds > PROBED_SECONDS:
        probes = [_possible(channel, waveform.sample_rate, every=PROBED_EVERY) for channel in waveform.samples]
        if PROBED_EVERY * max(map(len, probes)) < fewest:
            return Treated(waveform)
    possible = [_possible(channel, waveform.sample_rate) for channel in waveform.samples]
    if max(map(len, possible)) < fewest:
        return Treated(waveform)
    wanted = restorer.restore(waveform, steps=1, guarded=False).samples - waveform.samples
    samples = waveform.samples.copy()
    margin = round(MARGIN_SECONDS * waveform.sample_rate)
    repairs = []
    for row, clicks in enumerate(possible):
        before = waveform.samples[row]
        correlations = [_correlation(click, before, wanted[row], margin) for click in clicks]
        agreed = [click for click, one in zip(clicks, correlations, strict=True) if one > LEAST_CORRELATION]
        many = len(agreed) >= max(fewest, LEAST_SHARE * len(clicks))
        if many and np.median(correlations) > MEDIAN_CORRELATION and _by_chance(agreed, waveform.sample_rate):
            repairs += replaced(agreed, row, before, samples[row], waveform.sample_rate)
    return Treated(Waveform(samples, waveform.sample_rate), tuple(repairs)) if repairs else Treated(waveform)


def denoise_by_agreement(restorer: Restorer, waveform: Waveform, *, by_filter_alone: bool = False) -> Treated:
    """`waveform` without steady noise, in the bands in which `restorer` would take away half of it or more."""

    def noisy(channel: Samples, floor: Floor, certainty: NDArray[np.float64]) -> NDArray[np.bool_]:
        possible = np.asarray(certainty > POSSIBLE_NOISE)
        if not is_worth_it(floor, possible) or certainty.max() <= LIKELY_NOISE:
            return np.zeros_like(possible)
        agreed = possible & (_taken_by(restorer, channel, waveform.sample_rate, floor) > LEAST_TAKEN)
        likely = agreed.sum() >= FEWEST_BANDS and certainty[agreed].max() > LIKELY_NOISE
        return np.asarray((agreed & likely) | (certainty > LEAST_CERTAINTY))

    return without_noise(waveform, noisy, by_filter_alone=by_filter_alone)


def denoise_low_by_agreement(restorer: Restorer, waveform: Waveform) -> Treated:
    """`waveform` without low noise that is certain, or that `restorer` would take away too where there is most."""

    def is_noise(before: Samples, noise: Samples) -> bool:
        pieces = max(1, round(len(before) / waveform.sample_rate / HEARD_SECONDS))
        stretches = [np.array_split(one, pieces) for one in (before, noise)]
        loudest = sorted(zip(*stretches, strict=True), key=lambda pair: -float(np.square(pair[1]).sum()))
        common = whole = 0.0
        for heard, its_noise in loudest[:HEARD_EXCERPTS]:
            taken = heard - restorer.restore(heard, waveform.sample_rate, steps=1, guarded=False)
            common += float(taken.astype(np.float64) @ its_noise)
            whole += float(np.square(its_noise, dtype=np.float64).sum())
        return LOW_NOISE_TAKEN[0] * whole < common < LOW_NOISE_TAKEN[1] * whole

    return without_low_noise(waveform, is_noise)


def _taken_by(restorer: Restorer, channel: Samples, sample_rate: int, floor: Floor) -> NDArray[np.float64]:
    """What share of the change that takes `floor` away `restorer` would make too, [bands]; judged by excerpts."""
    transform = transform_of(sample_rate)
    common, whole = np.zeros(transform.num_bins), np.zeros(transform.num_bins)
    for excerpt in excerpts_of(channel, sample_rate, seconds=HEARD_SECONDS, count=HEARD_EXCERPTS):
        heard = transform.spectrum(excerpt)
        change = heard * (gains(power_of(heard), floor.power) - 1)
        wanted = transform.spectrum(restorer.restore(excerpt, sample_rate, steps=1, guarded=False) - excerpt)
        common += (wanted * change.conj()).real.sum(axis=0)
        whole += power_of(change).sum(axis=0)
    taken, there = (np.add.reduceat(one, floor.edges[:-1]) for one in (common, whole))
    return np.asarray(taken / np.maximum(there, 1e-30))


def _possible(channel: Samples, sample_rate: int, *, every: int = 1) -> list[Click]:
    return find_clicks(channel, sample_rate, POSSIBLE, every=every)


def _by_chance(clicks: list[Click], sample_rate: int) -> bool:
    """Whether these are short or glaring, and neither grouped nor regular."""
    pauses = np.diff([click.first for click in clicks])
    seconds = np.median([click.end - click.first for click in clicks]) / sample_rate
    short = seconds <= LONG_MEDIAN_SECONDS or np.median([click.drop_db for click in clicks]) >= LONG_MEDIAN_DROP_DB
    return bool(short and LEAST_UNEVEN < pauses.std() / pauses.mean() < MOST_UNEVEN)


def _correlation(click: Click, before: Samples, wanted: Samples, margin: int) -> float:
    """How much of what the network wants around `click` is its removal, -1 to 1."""
    removal = click.values - before[click.first : click.end]
    around = wanted[max(0, click.first - margin) : click.end + margin].astype(np.float64)
    both = float(removal @ wanted[click.first : click.end])
    return both / float(np.sqrt((removal @ removal) * (around @ around)) + 1e-30)
