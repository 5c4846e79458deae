"""Which parts of a restored recording take the place of the damaged one's."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, oaconvolve

from audiobuff_core.audio.waveform import Samples
from audiobuff_core.errors import InvalidConfig

FADE_SECONDS = 0.01
# Longer stretches of exact zeros are silence, and stay so; shorter ones may be gaps that want to be filled, and are
# silence where nothing fills them: farther from the sound around than an echo of it reaches, all is under -60 dB.
SILENCE_SECONDS, ECHO_SECONDS, UNFILLED = 2.0, 0.02, 1e-3
# Before the first and behind the last sound nothing can tell what a gap held: it is silence from this length on.
OUTER_SILENCE_SECONDS = 0.05
# So far around latents that were moved is the decoded sound taken: further than the codec's frames reach.
MOVED_SECONDS = 0.1
_FILTER_SECONDS = 0.02
_BLOCK_SAMPLES = 1 << 20

Was = Callable[[int, int], Samples]
"""Samples [first, last) of the damaged recording, float32 [channels, last - first]."""


def check_band(sample_rate: int, below_hz: float) -> None:
    """Refuse a band that nothing lies above.

    Raises:
        InvalidConfig: naming it.
    """
    if below_hz >= sample_rate / 2:
        raise InvalidConfig(f"--keep-below {below_hz:g}: expected less than half of the rate, {sample_rate / 2:g} Hz")


def keep_band(wet: Samples, was: Was, sample_rate: int, below_hz: float) -> None:
    """Give `wet` [channels, samples], in place, the band of the damaged recording below `below_hz`.

    By a linear-phase filter of 40 ms: what the damaged one has more there is added.

    Raises:
        InvalidConfig: there is nothing above that frequency.
    """
    check_band(sample_rate, below_hz)
    reach = max(16, round(_FILTER_SECONDS * sample_rate))
    low_pass = firwin(2 * reach + 1, below_hz, fs=sample_rate).astype(np.float32)
    behind = np.zeros((wet.shape[0], reach), np.float32)
    for first in range(0, wet.shape[1], _BLOCK_SAMPLES):
        last = min(wet.shape[1], first + _BLOCK_SAMPLES)
        ahead = min(wet.shape[1], last + reach)
        more = was(first, ahead) - wet[:, first:ahead]
        padded = np.pad(more, ((0, 0), (0, last + reach - ahead)))
        low = oaconvolve(np.concatenate([behind, padded], axis=1), low_pass[None], mode="valid", axes=1)
        behind = np.concatenate([behind, more[:, : last - first]], axis=1)[:, -reach:]
        wet[:, first:last] += low


def hold_still(
    wet: Samples, damaged: Samples, sample_rate: int, moved: NDArray[np.bool_], seconds: NDArray[np.float64]
) -> None:
    """Give `wet` [channels, samples], in place, the damaged samples where no latent near was moved.

    So a codec that loses something costs it only where the network changes something. Stretches fade over 10 ms.

    Args:
        wet: decoded.
        damaged: what was encoded.
        sample_rate: in Hz.
        moved: [channels, frames] of the latents.
        seconds: the moments of the frames.
    """
    num_samples, fade = wet.shape[1], max(1, round(FADE_SECONDS * sample_rate))
    for row, was, frames in zip(wet, damaged, moved, strict=True):
        for first, last in _runs(~frames):
            begin = 0 if first == 0 else int((seconds[first - 1] + MOVED_SECONDS) * sample_rate)
            end = num_samples if last == len(frames) else int((seconds[last] - MOVED_SECONDS) * sample_rate)
            if end - begin <= 2 * fade:
                continue
            share = np.ones(end - begin, np.float32)
            ramp = (np.arange(fade, dtype=np.float32) + 0.5) / fade
            if first > 0:
                share[:fade] = ramp
            if last < len(frames):
                share[-fade:] = ramp[::-1]
            place = slice(begin, end)
            row[place] = np.where(share == 1, was[place], row[place] + share * (was[place] - row[place]))


def _runs(chosen: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and end of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def blend(
    wet: Samples, was: Was, sample_rate: int, *, kept: tuple[int, int], rows: Sequence[int], at_edges: tuple[bool, bool]
) -> None:
    """Put the damaged samples back into `wet`, in place, wherever they are not to change.

    Args:
        wet: restored, [channels, samples].
        was: damaged.
        sample_rate: in Hz.
        kept: samples [begin, end) that may change, from 10 ms inside on in full.
        rows: channels that may change.
        at_edges: whether there is anything to fade to before `begin` and behind `end`.
    """
    begin, end = kept
    fade = max(1, min(round(FADE_SECONDS * sample_rate), (end - begin) // 2))
    silent = _Silence(wet.shape[0], sample_rate)
    chosen = np.zeros((wet.shape[0], 1), np.float32)
    chosen[list(rows)] = 1.0
    silences = silent.find(was, wet)
    for first in range(0, wet.shape[1], _BLOCK_SAMPLES):
        last = min(wet.shape[1], first + _BLOCK_SAMPLES)
        place = np.arange(first, last)
        rise = np.clip((place - begin + 0.5) / fade, 0, 1) if at_edges[0] else (place >= begin) * 1.0
        fall = np.clip((end - place - 0.5) / fade, 0, 1) if at_edges[1] else (place < end) * 1.0
        share = chosen * (rise * fall).astype(np.float32)
        silent.mute(share, silences, first, wet.shape[1])
        damaged = was(first, last)
        mixed = damaged + share * (wet[:, first:last] - damaged)
        wet[:, first:last] = np.where(share == 0, damaged, mixed)


class _Silence:
    """Stretches of exact zeros in each channel."""

    def __init__(self, channels: int, sample_rate: int) -> None:
        self.channels = channels
        self.shortest = round(SILENCE_SECONDS * sample_rate)
        self.outer = max(1, round(OUTER_SILENCE_SECONDS * sample_rate))
        self.fade = max(1, round(FADE_SECONDS * sample_rate))
        self.echo = round(ECHO_SECONDS * sample_rate)

    def find(self, was: Was, wet: Samples) -> list[tuple[int, int, int]]:
        """Row, first and last sample of each; `wet` is what came of it."""
        found, running, num_samples = [], [0] * self.channels, wet.shape[1]
        for first in range(0, num_samples, _BLOCK_SAMPLES):
            last = min(num_samples, first + _BLOCK_SAMPLES)
            for row, samples in enumerate(was(first, last)):
                sounding = np.flatnonzero(samples) + first
                edges = np.concatenate([[running[row] - 1], sounding])
                gaps = np.flatnonzero(np.diff(edges) - 1 >= self.outer)
                stretches = [(row, int(edges[gap]) + 1, int(edges[gap + 1])) for gap in gaps]
                found += [one for one in stretches if one[1] == 0 or self._is_silence(wet, *one)]
                running[row] = int(edges[-1]) + 1
        rest = [(row, running[row], num_samples) for row in range(self.channels)]
        return found + [one for one in rest if one[2] - one[1] >= min(self.outer, num_samples)]

    def _is_silence(self, wet: Samples, row: int, begin: int, end: int) -> bool:
        inside = wet[row, begin + self.echo : end - self.echo]
        return end - begin >= self.shortest or float(np.abs(inside).max(initial=0.0)) < UNFILLED

    def mute(self, share: Samples, silences: list[tuple[int, int, int]], first: int, num_samples: int) -> None:
        """Bring `share` [channels, samples from `first` on] to 0 inside the silences, over 10 ms next to sound."""
        last = first + share.shape[1]
        for row, begin, end in silences:
            if begin >= last or end <= first:
                continue
            inside = np.arange(max(begin, first), min(end, last))
            from_begin = inside - begin + 1 if begin > 0 else self.fade
            from_end = end - inside if end < num_samples else self.fade
            depth = np.minimum(from_begin, from_end) / self.fade
            share[row, inside - first] *= np.clip(1 - depth, 0, 1).astype(np.float32)
