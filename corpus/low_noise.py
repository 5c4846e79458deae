"""Teach the network of `audiobuff_core.treatment.low_noise_mask` from clean recordings, with low noise over them.

    uv run python corpus/low_noise.py --clean ~/corpus/clips --to audiobuff_core/treatment/low_noise_mask.safetensors

Two in three blocks of eight seconds have wind or steady noise or both, drawn afresh each time, and any of them may
have hum, rumble, clipped peaks and gaps, which it learns to leave to others. Whoever never heard wind that was meant to
be heard takes that for a fault: put textures (`corpus/textures.py`) beside the clips. A tenth of the recordings is kept
for the figures that are printed. A step of twelve blocks takes half a second on two cores.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from noisy_blocks import BLOCK, Example, Recording, Sound, example_of
from teaching import Lesson
from torch import Tensor
from torch.nn import functional

from audiobuff_core.progress import track
from audiobuff_core.treatment.low_noise import ANALYSIS_RATE, FRAME, HOP, LEAST_PRESENCE
from audiobuff_core.treatment.low_noise_mask import NUM_BINS, LowNoiseMask

BATCH = 12
FLOOR_DB = -25.0
"""Error energy relative to the recording's below which a mask has nothing more to learn."""
MASK_WEIGHT, ERROR_WEIGHT, PRESENCE_WEIGHT, INTACT_SHARE = 2.0, 0.5, 0.3, 0.1
LEAST_GAIN_DB, MOST_GAIN_DB, FALSE_ALARM = 0.1, 12.0, 3.0
"""From which gain on noise counts as present, how much an example counts at most, and false alarms against misses."""


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What a network makes of a batch: losses and errors in dB of the recording, [blocks], and its certainty."""

    mask_loss: Tensor
    before_db: Tensor
    after_db: Tensor
    logit: Tensor

    @property
    def noisy(self) -> Tensor:
        """Whether there was anything to do, [blocks]."""
        return self.before_db > FLOOR_DB + 2

    def loss(self) -> Tensor:
        """A share of noise for each bin, less error where there is any, and whether all of that does good."""
        gain = (self.before_db - self.after_db).detach()
        good = gain > LEAST_GAIN_DB
        weight = torch.where(good, gain.clamp(max=MOST_GAIN_DB), FALSE_ALARM * (-gain).clamp(0.3, MOST_GAIN_DB))
        presence = functional.binary_cross_entropy_with_logits(self.logit, good.float(), reduction="none") * weight
        error = self.after_db / 10 * torch.where(self.noisy, 1.0, INTACT_SHARE)
        return (MASK_WEIGHT * self.mask_loss + ERROR_WEIGHT * error + PRESENCE_WEIGHT * presence).mean()


def heard_by(network: LowNoiseMask, examples: Sequence[Example]) -> Heard:
    """What `network` makes of `examples`."""
    window = torch.hann_window(FRAME).sqrt()

    def spectrum(sounds: list[Sound]) -> Tensor:
        batch = torch.tensor(np.stack(sounds), dtype=torch.float32)
        return torch.stft(batch, FRAME, HOP, window=window, return_complex=True, pad_mode="constant")[:, :NUM_BINS]

    damaged, wanted = spectrum([one.damaged for one in examples]), spectrum([one.wanted for one in examples])
    power, kept, blown = (one.abs().square() for one in (damaged, wanted, damaged - wanted))
    with torch.autocast("cpu", torch.bfloat16):
        logits, present = (one.float() for one in network(power))
    share = (kept + 1e-9) / (kept + blown + 1e-9)
    weight = power**0.3
    mask_loss = functional.binary_cross_entropy_with_logits(logits, share, reduction="none") * weight
    scale = FRAME / 2 * window.square().sum() / HOP * BLOCK * torch.tensor([one.power for one in examples])

    def decibels(error: Tensor) -> Float[Tensor, "blocks"]:
        return 10 * torch.log10(error.abs().square().sum(dim=(1, 2)) / scale + 10 ** (FLOOR_DB / 10))

    after_db = decibels(damaged * logits.sigmoid() - wanted)
    mask_loss = mask_loss.sum(dim=(1, 2)) / (weight.sum(dim=(1, 2)) + 1e-9)
    return Heard(mask_loss, decibels(damaged - wanted), after_db, present)


@torch.no_grad()
def told_of(network: LowNoiseMask, recordings: list[Recording]) -> str:
    """What it gains and harms on `recordings`, each damaged twice."""
    generator = np.random.default_rng(1)
    gained, worse, alarms, noisy = 0.0, 0, 0, 0
    for recording in track(recordings * 2, "Trying"):
        heard = heard_by(network, [example_of(recording, generator)])
        gain = float(heard.before_db - heard.after_db) if float(heard.logit.sigmoid()) > LEAST_PRESENCE else 0.0
        noisy += bool(heard.noisy)
        gained += gain * bool(heard.noisy)
        alarms += gain != 0.0 and not bool(heard.noisy)
        worse += gain < -1.0
    return (
        f"{noisy} blocks with low noise: {gained / max(1, noisy):.2f} dB less error; {alarms} false alarms in "
        f"{2 * len(recordings) - noisy} without, {worse} blocks made worse by more than 1 dB"
    )


LESSON = Lesson(
    LowNoiseMask,
    ANALYSIS_RATE,
    BATCH,
    4000,
    example_of,
    lambda network, examples: heard_by(network, examples).loss(),
    told_of,
)


def main() -> int:
    """Teach and write."""
    return LESSON.give("low_noise.py", __doc__)


if __name__ == "__main__":
    sys.exit(main())
