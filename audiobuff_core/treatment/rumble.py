"""Rumble: a narrow band of noise below 65 Hz, of a turntable, a fan or a street."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.treatment.protocols import LOWEST_RATE, Repair, Treated, change_db
from audiobuff_core.treatment.short_time import ShortTime

Real = NDArray[np.float64]

ANALYSIS_RATE = 1000
FRAME, HOP = 1024, 256
SHORTEST_SECONDS, PIECE_SECONDS = 4.5, 12.0
# Where its loudest frequency is looked for, how far its upper edge may lie above it, and how deep it falls there.
PEAK_HZ, WIDTH_HZ, EDGE_DB, LEAST_DIP_DB, RISE = (14.0, 72.0), (2.5, 21.0), -15.0, -11.0, 2.5
HIGHEST_PEAK_HZ, LOWEST_HZ, FARTHEST_EDGE_HZ = 62.5, 10.0, 120.0
# The share of the sound's power, and the level of the octave above it against its own, both in dB.
LEAST_SHARE_DB, MOST_ABOVE_DB = -25.0, -1.0
# Levels of quarter seconds against the mean, in dB: quantiles 2, 10, 90 and 98 %. Music has pauses and beats.
LEVELS = {0.02: (-10.5, -2.0), 0.1: (-8.0, -1.5), 0.9: (0.0, 4.0), 0.98: (1.0, 7.0)}
STEP_SECONDS, PARTS, PARTS_DB = 0.256, 6, (0.5, 9.5)
# The power of the envelope against its median, in dB: noise follows an exponential law, no tone and no beat does.
ENVELOPE = {0.05: (-15.5, -8.0), 0.25: (-5.5, -2.6), 0.75: (1.9, 4.0), 0.9: (3.4, 7.0)}
# The finest spectrum against the smooth one: its mean in dB (-2.5 for noise) and its two highest lines (tones).
LEAST_FINE_DB, MOST_FINE_PEAK_DB = -3.1, 9.5
# How much its level may follow that of all above it, and of any octave.
MOST_FOLLOWING, MOST_FOLLOWING_OCTAVE = 0.65, 0.6
# How much of the floor is taken away, and in how wide a band.
FLOOR_SHARE, REACH = 1.25, 1.6


@dataclass(frozen=True, slots=True)
class _Band:
    peak_hz: float
    edge_hz: float
    dip_db: float
    mean: Real
    floor: Real


class Derumble:
    """Takes out low noise that is steady, Gaussian and unrelated to the sound above it; by a zero-phase filter.

    Where the band holds music, too, its bins keep what they have beyond the floor. Longer recordings are judged in
    pieces, of which more than half must say so; each channel by itself.
    """

    name = "rumble"

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` without its rumble; untouched below 8 kHz and 4.5 s."""
        import soxr

        rate, samples, repairs = waveform.sample_rate, waveform.samples, []
        if rate < LOWEST_RATE or waveform.duration_seconds < SHORTEST_SECONDS:
            return Treated(waveform)
        for channel, before in enumerate(waveform.samples):
            low = soxr.resample(before, rate, ANALYSIS_RATE, quality="HQ").astype(np.float64)
            band = _band(low)
            agreed = 0.0 if band is None else _agreed(low, band, float(np.square(before, dtype=np.float64).mean()))
            if band is None or agreed <= 0.5:
                continue
            rumble = soxr.resample(_rumble(low, band), ANALYSIS_RATE, rate, quality="HQ")
            samples = waveform.samples.copy() if samples is waveform.samples else samples
            length = min(len(rumble), len(before))
            samples[channel, :length] -= rumble[:length].astype(np.float32)
            size_db = change_db(before, samples[channel])
            repairs.append(Repair(self.name, 0.0, waveform.duration_seconds, (channel,), size_db, agreed))
        return Treated(Waveform(samples, rate), tuple(repairs)) if repairs else Treated(waveform)


def _db(power: Real | float) -> Real:
    return np.asarray(10.0 * np.log10(np.asarray(power) + 1e-16))


def _band(low: Real) -> _Band | None:
    """The loudest band that is always there, None if it has no clear upper edge."""
    frames = np.lib.stride_tricks.sliding_window_view(low, FRAME)[::HOP] * np.hanning(FRAME + 1)[:-1]
    power = np.square(np.abs(np.fft.rfft(frames, axis=1)[:, : FRAME // 4]))
    floor, bin_hz = np.median(power, axis=0) / np.log(2), ANALYSIS_RATE / FRAME
    smooth = np.convolve(floor, np.ones(3) / 3, "same")
    first, end = (int(np.ceil(hertz / bin_hz)) for hertz in PEAK_HZ)
    peak = first + int(np.argmax(smooth[first:end]))
    edge = peak
    for place in range(peak + 1, int(FARTHEST_EDGE_HZ / bin_hz)):
        edge = place if smooth[place] < smooth[edge] else edge
        if smooth[edge] < 10 ** (EDGE_DB / 10) * smooth[peak] or smooth[place] > RISE * smooth[edge]:
            break
    dip_db = float(_db(smooth[edge] / max(smooth[peak], 1e-30)))
    mean = power.mean(axis=0)
    above_db = float(_db(mean[edge : 2 * edge].mean() / max(mean[peak], 1e-30)))
    clear = dip_db < LEAST_DIP_DB and WIDTH_HZ[0] <= (edge - peak) * bin_hz <= WIDTH_HZ[1]
    if smooth[peak] <= 0 or not clear or above_db > MOST_ABOVE_DB or peak * bin_hz > HIGHEST_PEAK_HZ:
        return None
    return _Band(peak * bin_hz, edge * bin_hz, dip_db, mean, floor)


def _agreed(low: Real, band: _Band, power: float) -> float:
    """The share of pieces that sound like rumble."""
    pieces = np.array_split(low, max(1, round(len(low) / ANALYSIS_RATE / PIECE_SECONDS)))
    return sum(_sounds_like_rumble(piece, band, power) for piece in pieces) / len(pieces)


def _sounds_like_rumble(low: Real, band: _Band, power: float) -> bool:
    points = next_fast_len(len(low) + ANALYSIS_RATE // 2, real=True)
    hertz, spectrum = np.fft.rfftfreq(points, 1 / ANALYSIS_RATE), rfft(low, points)

    def passed(first: float, end: float) -> Real:
        return np.asarray(irfft(np.where((hertz > first) & (hertz < end), spectrum, 0), points)[: len(low)])

    def level_db(signal: Real) -> Real:
        step = round(STEP_SECONDS * ANALYSIS_RATE)
        return _db(np.square(signal[: len(signal) // step * step].reshape(-1, step)).mean(axis=1))

    width = band.edge_hz - band.peak_hz
    noise = passed(LOWEST_HZ, band.edge_hz)
    if _db(noise.var() / max(power, 1e-30)) < LEAST_SHARE_DB:
        return False
    levels, parts = level_db(noise), [_db(part.var()) for part in np.array_split(noise, PARTS)]
    if not _within(levels - _db(noise.var()), LEVELS) or not PARTS_DB[0] <= np.ptp(parts) <= PARTS_DB[1]:
        return False
    narrow = passed(max(LOWEST_HZ, band.peak_hz - 2 * width), band.edge_hz)
    half = rfft(narrow, points)
    analytic = np.fft.ifft(np.concatenate([half, np.zeros(points - len(half))]))[: len(low)]
    envelope = _db(np.square(np.abs(analytic[::20])))
    if not _within(envelope - np.median(envelope), ENVELOPE):
        return False
    fine = np.square(np.abs(rfft(low * np.hanning(len(low)))))
    places = np.arange(len(fine)) * ANALYSIS_RATE / len(low)
    inside = (places > max(LOWEST_HZ, band.peak_hz - width)) & (places < band.edge_hz)
    smooth = np.interp(places[inside], np.arange(len(band.mean)) * ANALYSIS_RATE / FRAME, band.mean)
    ratio = fine[inside] / np.maximum(smooth, 1e-30)
    ratio /= ratio.mean()
    if _db(ratio).mean() < LEAST_FINE_DB or _db(np.sort(ratio)[-2:].mean()) > MOST_FINE_PEAK_DB:
        return False
    first, octaves = 1.3 * band.edge_hz, []
    whole = level_db(passed(first, ANALYSIS_RATE))
    while first < 0.4 * ANALYSIS_RATE:
        octaves.append(level_db(passed(first, 2 * first)))
        first *= 2
    return _following(levels, whole) < MOST_FOLLOWING and all(
        _following(levels, one) < MOST_FOLLOWING_OCTAVE for one in octaves
    )


def _within(values: Real, bounds: dict[float, tuple[float, float]]) -> bool:
    found = np.quantile(values, list(bounds))
    return all(least <= one <= most for one, (least, most) in zip(found, bounds.values(), strict=True))


def _following(levels: Real, others: Real) -> float:
    deviation = float(levels.std() * others.std())
    return float(((levels - levels.mean()) * (others - others.mean())).mean()) / deviation if deviation > 1e-9 else 0.0


def _rumble(low: Real, band: _Band) -> Real:
    """What is to be taken from `low`: in each bin the share that the floor has; it falls beyond the edge."""
    away = (np.arange(FRAME // 4) * ANALYSIS_RATE / FRAME - band.peak_hz) / (band.edge_hz - band.peak_hz)
    beyond = band.floor[round(band.peak_hz * FRAME / ANALYSIS_RATE)] * 10 ** (-1.5 * away**2)
    floor = np.where(away > 1, np.minimum(band.floor, beyond), band.floor)
    floor[(away > REACH) | (np.arange(len(floor)) < 8)] = 0
    share = np.minimum(1, FLOOR_SHARE * np.convolve(floor / np.maximum(band.mean, 1e-30), np.ones(3) / 3, "same"))
    transform = ShortTime(FRAME, HOP)
    spectrum = transform.spectrum(low.astype(np.float32))
    spectrum *= np.pad(share, (0, transform.num_bins - len(share))).astype(np.float32)
    return transform.samples(spectrum, len(low)).astype(np.float64)
