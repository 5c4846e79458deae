"""Samples of which little is known, such as clipped peaks and lost packets: what makes a sound sparse in its spectra.

The persistent empirical Wiener shrinkage of Siedenburg, Kowalski and Dörfler, "Audio declipping with social sparsity"
(ICASSP 2014): a bin stays if its neighbours in time and frequency are strong too. Bounds are met softly on the way, by
gradient steps with momentum (Beck and Teboulle 2009) under a threshold that falls from step to step.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from jaxtyping import Complex, Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from audiobuff_core.treatment.places import runs

Channel = NDArray[np.float32]
Mask = NDArray[np.bool_]

FRAME_SECONDS = 0.093
STEPS, MOMENTUM = 80, 0.9
# Shares of the strongest bin.
FIRST_THRESHOLD, LAST_THRESHOLD = 0.05, 1e-4
# Frames and bins around one that count as its neighbours.
NEAR_FRAMES, NEAR_BINS = 2, 1
SECTION_SECONDS, MARGIN_FRAMES = 10.0, 4
# Within so many an error at the edge of what is longer fades.
FADED_SAMPLES = 64


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of each sample of a channel besides its value, [samples].

    Attributes:
        above: that it is at least that value.
        below: that it is at most that value.
        lost: that its value says nothing.
    """

    above: Mask
    below: Mask
    lost: Mask

    @classmethod
    def bounds(cls, above: Mask, below: Mask) -> Self:
        """Of peaks."""
        return cls(above, below, np.zeros_like(above))

    @classmethod
    def all_but(cls, lost: Mask) -> Self:
        """Of a sound with gaps."""
        return cls(np.zeros_like(lost), np.zeros_like(lost), lost)

    @property
    def unsure(self) -> Mask:
        """Where it is not just the value."""
        return np.asarray(self.above | self.below | self.lost)

    def part(self, place: slice) -> Self:
        """The same of some of the samples."""
        return type(self)(self.above[place], self.below[place], self.lost[place])


@torch.inference_mode()
def rebuild(channel: Channel, known: Known, sample_rate: int, *, frame_seconds: float = FRAME_SECONDS) -> Channel:
    """`channel` with other values where its own are not all that is `known`.

    Args:
        channel: what was recorded, [samples].
        known: what is known of each sample.
        sample_rate: in Hz.
        frame_seconds: in which the sound is sparse.
    """
    length = 1 << round(float(np.log2(frame_seconds * sample_rate)))
    step, margin = round(SECTION_SECONDS * sample_rate), MARGIN_FRAMES * length
    rebuilt = channel.copy()
    for first in range(0, len(channel), step):
        core = slice(first, min(len(channel), first + step))
        here = known.part(core)
        if not here.unsure.any():
            continue
        around = slice(max(0, first - margin), first + step + margin)
        values = _sparse(channel[around], known.part(around), length)
        values = values[core.start - around.start : core.stop - around.start]
        rebuilt[core] = np.where(here.above, np.maximum(values, channel[core]), rebuilt[core])
        rebuilt[core] = np.where(here.below, np.minimum(values, channel[core]), rebuilt[core])
        rebuilt[core] = np.where(here.lost, values, rebuilt[core])
    return rebuilt


def _sparse(channel: Channel, known: Known, length: int) -> Channel:
    """A sound of few bins that says what is `known`; all [samples]."""
    window = torch.hann_window(length).sqrt()  # with half of it as a hop, there and back is the identity
    said = torch.from_numpy(channel)
    # What a sample may be wrong by: anything where it is known, nothing where it says nothing.
    least, most = (torch.full_like(said, sign * torch.inf) for sign in (-1, 1))
    least[torch.from_numpy(known.above | known.lost)] = 0
    most[torch.from_numpy(known.below | known.lost)] = 0
    now = ahead = _spectrum(said, window)
    strongest = float(now.abs().max())
    for threshold in strongest * np.geomspace(FIRST_THRESHOLD, LAST_THRESHOLD, STEPS):
        wrong = (said - _samples(ahead, window, len(said))).clamp_(least, most)
        before, now = now, _shrink(_spectrum(wrong, window).add_(ahead), threshold)
        ahead = torch.lerp(before, now, 1 + MOMENTUM)
    found = np.asarray(_samples(now, window, len(said)).numpy())
    return found + _missed_at_edges(channel - found, known.unsure)


def _missed_at_edges(missed: Channel, unsure: Mask) -> Channel:
    """What joins what was found to what is known on both sides, as a kink would be a click; [samples].

    What is `missed` there goes on in between, on a line, unless that is far: then it ends.
    """
    sure = np.flatnonzero(~unsure)
    joint = np.zeros_like(missed)
    if len(sure) == 0:
        return joint
    line = np.interp(np.arange(len(missed)), sure, missed[sure])
    for first, end in runs(unsure).tolist():
        places = np.arange(first, end)
        away = np.minimum(places - first, end - 1 - places) / FADED_SAMPLES if end - first > 2 * FADED_SAMPLES else 0.0
        joint[first:end] = line[first:end] * np.maximum(0.0, 1.0 - away)
    return joint


def _spectrum(samples: Float[Tensor, "samples"], window: Float[Tensor, "length"]) -> Complex[Tensor, "frames bins"]:
    hop = len(window) // 2
    frames = functional.pad(samples, (hop, hop + -len(samples) % hop)).unfold(0, 2 * hop, hop)
    spectrum: Tensor = torch.fft.rfft(frames * window)
    return spectrum


def _samples(
    spectrum: Complex[Tensor, "frames bins"], window: Float[Tensor, "length"], count: int
) -> Float[Tensor, "samples"]:
    hop = len(window) // 2
    frames: Tensor = torch.fft.irfft(spectrum, len(window)) * window
    return (frames[1:, :hop] + frames[:-1, hop:]).reshape(-1)[:count]


def _shrink(spectrum: Complex[Tensor, "frames bins"], threshold: float) -> Complex[Tensor, "frames bins"]:
    """`spectrum` itself, less what is weak beside `threshold`, with all that is around it."""
    real, imaginary = spectrum.real, spectrum.imag
    near = _sum_around(_sum_around(real.square().addcmul_(imaginary, imaginary), NEAR_FRAMES, 0), NEAR_BINS, 1)
    least = threshold**2 * (2 * NEAR_FRAMES + 1) * (2 * NEAR_BINS + 1)
    kept = near.add_(1e-20).reciprocal_().mul_(-least).add_(1).clamp_(min=0)
    real.mul_(kept)
    imaginary.mul_(kept)
    return spectrum


def _sum_around(values: Float[Tensor, "rows columns"], reach: int, axis: int) -> Float[Tensor, "rows columns"]:
    """Sums over as many as `reach` before and after each one of `values` along `axis`; zero beyond the ends."""
    summed = values.clone()
    for shift in range(1, min(reach, values.shape[axis] - 1) + 1):
        rest = values.shape[axis] - shift
        summed.narrow(axis, shift, rest).add_(values.narrow(axis, 0, rest))
        summed.narrow(axis, 0, rest).add_(values.narrow(axis, shift, rest))
    return summed
