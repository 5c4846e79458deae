"""Samples of which only a bound is known, such as clipped peaks: what makes the sound sparse in time and frequency.

The persistent empirical Wiener shrinkage of Siedenburg, Kowalski and Dörfler, "Audio declipping with social sparsity"
(ICASSP 2014): a bin stays if its neighbours in time and frequency are strong too. Bounds are met softly on the way, by
gradient steps with momentum (Beck and Teboulle 2009) under a threshold that falls from step to step.
"""

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Channel = NDArray[np.float32]
Mask = NDArray[np.bool_]

FRAME_SECONDS = 0.093
STEPS, MOMENTUM = 80, 0.9
# Shares of the strongest bin.
FIRST_THRESHOLD, LAST_THRESHOLD = 0.05, 1e-4
# Frames and bins around one that count as its neighbours.
NEAR_FRAMES, NEAR_BINS = 2, 1
SECTION_SECONDS, MARGIN_FRAMES = 10.0, 4


@torch.inference_mode()
def rebuild(channel: Channel, guess: Channel, above: Mask, below: Mask, sample_rate: int) -> Channel:
    """`channel` with other values where it is known to be `above` or `below` what it says; all shapes [samples].

    Args:
        channel: what was recorded.
        guess: the same with a first guess there: nearer than what was recorded, it saves most of the steps.
        above: where the value is at least that of `channel`.
        below: where it is at most that.
        sample_rate: in Hz.
    """
    length = 1 << round(float(np.log2(FRAME_SECONDS * sample_rate)))
    step, margin = round(SECTION_SECONDS * sample_rate), MARGIN_FRAMES * length
    rebuilt = channel.copy()
    for first in range(0, len(channel), step):
        core = slice(first, min(len(channel), first + step))
        if not (above[core].any() or below[core].any()):
            continue
        around = slice(max(0, first - margin), first + step + margin)
        parts = [torch.from_numpy(one[around]) for one in (channel, guess, above, below)]
        values = _sparse(*parts, length=length)[core.start - around.start : core.stop - around.start]
        rebuilt[core] = np.where(above[core], np.maximum(values, channel[core]), rebuilt[core])
        rebuilt[core] = np.where(below[core], np.minimum(values, channel[core]), rebuilt[core])
    return rebuilt


def _sparse(
    channel: Float[Tensor, "samples"], guess: Float[Tensor, "samples"], above: Bool[Tensor, "samples"],
    below: Bool[Tensor, "samples"], *, length: int,
) -> Channel:  # fmt: skip
    """A sound of few bins that says what `channel` does, or more than that where it is a bound."""
    window = torch.hann_window(length).sqrt()  # with half of it as a hop, there and back is the identity
    strongest = float(_spectrum(channel, window).abs().max())
    now = ahead = _spectrum(guess, window)
    for threshold in strongest * np.geomspace(FIRST_THRESHOLD, LAST_THRESHOLD, STEPS):
        wrong = channel - _samples(ahead, window, len(channel))
        wrong = torch.where(above, wrong.clamp(min=0), torch.where(below, wrong.clamp(max=0), wrong))
        before, now = now, _shrunk(ahead + _spectrum(wrong, window), threshold)
        ahead = torch.lerp(before, now, 1 + MOMENTUM)
    found = _samples(now, window, len(channel)).numpy()
    # Joined to what is known on both sides: a kink would be a click.
    known = np.flatnonzero(~(above | below).numpy())
    if len(known):
        found += np.interp(np.arange(len(found)), known, (channel.numpy() - found)[known]).astype(np.float32)
    return np.asarray(found)


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


def _shrunk(spectrum: Complex[Tensor, "frames bins"], threshold: float) -> Complex[Tensor, "frames bins"]:
    """`spectrum` less what is weak beside `threshold`, with all that is around it."""
    real, imaginary = spectrum.real, spectrum.imag
    near = _sum_around(_sum_around(real.square().addcmul_(imaginary, imaginary), NEAR_FRAMES, 0), NEAR_BINS, 1)
    least = threshold**2 * (2 * NEAR_FRAMES + 1) * (2 * NEAR_BINS + 1)
    return spectrum * near.add_(1e-20).reciprocal_().mul_(-least).add_(1).clamp_(min=0)


def _sum_around(values: Float[Tensor, "rows columns"], reach: int, axis: int) -> Float[Tensor, "rows columns"]:
    """Sums over as many as `reach` before and after each one of `values` along `axis`; zero beyond the ends."""
    summed = values.clone()
    for shift in range(1, min(reach, values.shape[axis] - 1) + 1):
        rest = values.shape[axis] - shift
        summed.narrow(axis, shift, rest).add_(values.narrow(axis, 0, rest))
        summed.narrow(axis, 0, rest).add_(values.narrow(axis, shift, rest))
    return summed
