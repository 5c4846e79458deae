"""Teach the network of `audiobuff_core.treatment.noise_mask` from clean recordings, with steady noise over them.

    uv run python corpus/noise_mask.py --clean ~/corpus/clips --to audiobuff_core/treatment/noise_mask.safetensors

Every block of eight seconds has noise of some colour and level, drawn afresh each time; its floor is found as the
treatment of noise finds it, and what the network is asked for is how much of each bin was recorded. Put textures
(`corpus/textures.py`) beside the clips. A tenth of the recordings is kept for the figures that are printed, beside
those of the Wiener filter alone. A step of four blocks takes about two seconds on two cores; with two thousand
recordings it needs 6 GB of memory.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from noisy_blocks import Recording, Sound, between
from teaching import Lesson
from torch import Tensor
from torch.nn import functional

from audiobuff_core.degradation.faults import noise
from audiobuff_core.progress import track
from audiobuff_core.treatment.noise import gains
from audiobuff_core.treatment.noise_floor import Power, floor_of, power_of, transform_of
from audiobuff_core.treatment.noise_mask import NoiseMask

RATE, BLOCK_SECONDS, BATCH = 44_100, 8, 4
COLORS = ("white", "pink", "brown", "blue", "slope", "band")
SPEEDS, FASTER, BANDED, DRIFTING = (0.75, 1.33), 0.7, 0.25, 0.3
QUIETEST_SNR_DB, LOUDEST_SNR_DB = 22.0, -8.0
MOST_FLOOR_DB, FLOOR_OFF_DB = (-1.0, 4.0), 0.5
"""By how much the floor that is told may lie above that of the noise, and how far off it is besides."""
FLOOR_DB, SILENCE = -25.0, 1e-6
MASK_WEIGHT, ERROR_WEIGHT, DISTANCE_WEIGHT = 2.0, 0.1, 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A block with noise, the same without, and what they have in common, as powers of bins, [bins, frames].

    Beside them the power of the noise as it is told, [bins], and what a filter would keep, [bins, frames].
    """

    heard: Power
    clean: Power
    common: Power
    noise: Power
    kept: Power


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """How far what is kept of a batch lies from the truth, [blocks]: of the mask, in dB of energy and of spectra."""

    mask: Tensor
    error_db: Tensor
    distance_db: Tensor

    def loss(self) -> Tensor:
        """All three."""
        return (MASK_WEIGHT * self.mask + ERROR_WEIGHT * self.error_db + DISTANCE_WEIGHT * self.distance_db).mean()


def example_of(recording: Recording, generator: np.random.Generator) -> Example:
    """A block of it, at another speed as often as not, with noise; both may have gone through a narrower band."""
    clean = recording.samples.astype(np.float64)
    if generator.random() < FASTER:
        clean = np.interp(np.arange(0, len(clean) - 1, between(generator, *SPEEDS)), np.arange(len(clean)), clean)
    if generator.random() < BANDED:
        clean = limited(clean, between(generator, 3000, 16_000), 8)
    length = BLOCK_SECONDS * RATE
    first = int(generator.integers(0, max(1, len(clean) - length)))
    clean = clean[first : first + length]
    clean = np.pad(clean, (0, length - len(clean)))
    if not clean.any():
        clean = 1e-4 * generator.standard_normal(length)
    noisy = clean + noise_for(clean, generator)
    if generator.random() < BANDED:
        edge = between(generator, 3500, 18_000)
        clean, noisy = limited(clean, edge, 12), limited(noisy, edge, 12)
    transform = transform_of(RATE)
    heard, truth, added = (transform.spectrum(one.astype(np.float32)) for one in (noisy, clean, noisy - clean))
    power = power_of(added).mean(axis=0, dtype=np.float64) * 10 ** (generator.uniform(*MOST_FLOOR_DB) / 10)
    if (floor := floor_of(noisy.astype(np.float32), RATE)) is not None:
        power = np.minimum(floor.power, power)
    power = np.maximum(power, 1e-12) * 10 ** (generator.normal(0, FLOOR_OFF_DB) / 10)
    loud, common = power_of(heard), heard.real * truth.real + heard.imag * truth.imag
    kept = gains(loud, power)
    return Example(loud.T, power_of(truth).T, common.T, power.astype(np.float32), kept.T)


def noise_for(clean: Sound, generator: np.random.Generator) -> Sound:
    """Noise beside `clean`, [samples]; its level may drift."""
    parameters = {
        "color": COLORS[generator.integers(len(COLORS))],
        "snr_db": generator.uniform(LOUDEST_SNR_DB, QUIETEST_SNR_DB),
        "slope_db_per_octave": generator.uniform(-7.0, 6.0), "low_hz": between(generator, 50, 2000),
        "high_hz": between(generator, 3000, 16_000),
    }  # fmt: skip
    added = (noise.apply(clean[None], RATE, parameters, generator) - clean)[0]
    if generator.random() < DRIFTING:
        phase = 2 * np.pi * (between(generator, 0.05, 1.0) * np.arange(len(clean)) / RATE + generator.random())
        added = added * 10 ** (generator.uniform(0, 4) / 20 * np.sin(phase))
    return np.asarray(added)


def limited(sound: Sound, edge_hz: float, order: int) -> Sound:
    """`sound` [samples] below an edge."""
    spectrum = np.fft.rfft(sound) / (1 + (np.fft.rfftfreq(len(sound), 1 / RATE) / edge_hz) ** order)
    return np.fft.irfft(spectrum, len(sound))


def judged(examples: Sequence[Example], network: NoiseMask | None) -> Judged:
    """What `network` makes of `examples`, or the Wiener filter alone."""
    heard, clean, common, noise_power, kept = (
        torch.tensor(np.stack([getattr(one, field.name) for one in examples])) for field in fields(Example)
    )
    if network is None:
        logits = torch.logit(kept.clamp(1e-3, 0.9999))
    else:
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(heard, noise_power, heard.mean(dim=(1, 2)), kept).float()
    share = clean / (heard + 2 * (clean - common)).clamp(min=1e-9)  # of what is clean in clean and added power
    weight = heard**0.3
    weight /= weight.sum(dim=(1, 2), keepdim=True) + 1e-9
    keep = logits.sigmoid()
    after = keep.square() * heard
    error = (after - 2 * keep * common).sum(dim=(1, 2)) + clean.sum(dim=(1, 2))
    ratio = error.clamp(min=0) / (clean.sum(dim=(1, 2)) + 1e-9)
    distance = 10 * (torch.log10(after + SILENCE) - torch.log10(clean + SILENCE))
    return Judged(
        functional.binary_cross_entropy_with_logits(logits, share, weight, reduction="none").sum(dim=(1, 2)),
        10 * torch.log10(ratio + 10 ** (FLOOR_DB / 10)),
        (distance.square().mean(dim=1) + 1e-3).sqrt().mean(dim=1),
    )


@torch.no_grad()
def told_of(network: NoiseMask, recordings: list[Recording]) -> str:
    """What it gains over the filter on `recordings`."""
    generator = np.random.default_rng(1)
    found = []
    for recording in track(recordings, "Trying"):
        example = [example_of(recording, generator)]
        before, after = judged(example, None), judged(example, network)
        found.append([float(one) for one in (before.error_db, after.error_db, before.distance_db, after.distance_db)])
    was, error, distance, nearer = np.mean(found, axis=0)
    worse = sum(one[1] > one[0] + 1 for one in found)
    return (
        f"{len(found)} blocks with noise: error {was:.2f} dB by the filter, {error:.2f} dB by the network, spectra "
        f"{distance:.2f} and {nearer:.2f} dB off; {worse} made worse by more than 1 dB"
    )


LESSON = Lesson(
    NoiseMask, RATE, BATCH, 2000, example_of, lambda network, examples: judged(examples, network).loss(), told_of
)


def main() -> int:
    """Teach and write."""
    return LESSON.give("noise_mask.py", __doc__)


if __name__ == "__main__":
    sys.exit(main())
