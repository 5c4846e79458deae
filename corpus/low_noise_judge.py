"""Teach the judge of `audiobuff_core.treatment.low_noise_judge` what low noise is, and what only seems to be.

    uv run python corpus/vary.py --of ~/corpus/clips --to ~/corpus/varied --seed 19
    for recipe in windy box; do
        uv run audiobuff degrade ~/corpus/varied ~/corpus/damaged/$recipe --recipe corpus/$recipe.toml
    done
    uv run python corpus/low_noise_judge.py --clean ~/corpus/varied --damaged ~/corpus/damaged/windy \
        ~/corpus/damaged/box --to audiobuff_core/treatment/low_noise_judge.safetensors

Each damaged recording and each clean one gives an example: eight seconds, what the mask would take out of them, and by
how many dB of SI-SDR they would be nearer to what was recorded. Put textures (`corpus/textures.py`) beside the clean
clips: whoever never heard wind that was meant to be heard takes that for a fault. A fifth of the recordings is kept for
the figures that are printed. Ten recordings a second on one core, then a minute.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Samples
from audiobuff_core.errors import AudioBuffError, AudioNotFound
from audiobuff_core.evaluation.metrics.si_sdr import held, si_sdr_db
from audiobuff_core.evaluation.pairs import pair_files
from audiobuff_core.files import write_bytes
from audiobuff_core.progress import show_progress, track
from audiobuff_core.treatment.low_noise import ANALYSIS_RATE, BLOCK_FRAMES, FRAME, HOP
from audiobuff_core.treatment.low_noise_judge import (
    EVIDENCE,
    MOST_DEVIATIONS,
    Values,
    certainty_of_low_noise,
    evidence_of,
)
from audiobuff_core.treatment.low_noise_mask import heard
from audiobuff_core.treatment.noise_floor import power_of
from audiobuff_core.treatment.short_time import ShortTime

SECONDS = BLOCK_FRAMES * HOP / ANALYSIS_RATE
SHORTEST_SECONDS, LOWEST_RATE, QUIETEST = 1.2, 8000, 1e-4
GOOD_DB, LEAST_DB, MOST_DB = 0.3, 0.3, 12.0
"""From which gain on it does good, and how much an example counts at least and at most."""
FALSE_ALARM = 3.0
"""What harm weighs more than what is missed."""
WIDTH, BATCH, LEARNING_RATE, WEIGHT_DECAY, SHAKEN = 16, 64, 3e-3, 0.05, 0.1
LIKELY = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """The evidence [EVIDENCE] of a recording, and what taking its low noise out gains in dB of SI-SDR."""

    recording: str
    evidence: Values
    gain_db: float


class Judge(nn.Module):
    """As `low_noise_judge` counts it."""

    def __init__(self) -> None:
        """Make the three layers."""
        super().__init__()
        self.first, self.second = nn.Linear(len(EVIDENCE), WIDTH), nn.Linear(WIDTH, WIDTH)
        self.last = nn.Linear(WIDTH, 1)

    def forward(self, told: Tensor) -> Tensor:
        """The logit of each, [batch], of standardised evidence [batch, EVIDENCE]."""
        logits: Tensor = self.last(functional.relu(self.second(functional.relu(self.first(told)))))
        return logits[:, 0]


def example_of(recording: str, damaged: Samples, clean: Samples, sample_rate: int) -> Example:
    """What `damaged` [samples] teaches."""
    low = np.asarray(soxr.resample(damaged, sample_rate, ANALYSIS_RATE), np.float32)
    transform = ShortTime(FRAME, HOP)
    spectrum = transform.spectrum(low)
    power = power_of(spectrum)
    share, presence = heard(power, 0.0)
    noise = soxr.resample(transform.samples(spectrum * share, len(low)), ANALYSIS_RATE, sample_rate)
    noise = np.pad(noise, (0, max(0, len(damaged) - len(noise))))[: len(damaged)]
    before, after = (held(si_sdr_db(clean, one.astype(np.float64))) for one in (damaged, damaged - noise))
    return Example(recording, evidence_of(power, share, presence), after - before)


def examples_of(clean: Path, damaged: list[Path], textures: list[Path]) -> Iterator[Example]:
    """Those of every damaged recording, of every clean one, and of recordings with nothing but what is meant.

    Raises:
        AudioNotFound: a folder is missing, or nothing is paired.
    """
    known: set[Path] = set()
    items = [item for folder in damaged for item in pair_files(clean, folder, [])[0]]
    for item in track(items, "Listening"):
        whole, hurt = (_excerpt(path) for path in (item.clean, item.degraded))
        if whole is None or hurt is None:
            continue
        (truth, rate), (excerpt, _) = whole, hurt
        length = min(len(truth), len(excerpt))
        yield example_of(item.clean.stem, excerpt[:length], item.clean_gain * truth[:length].astype(np.float64), rate)
        if item.clean not in known:
            known.add(item.clean)
            yield example_of(item.clean.stem, truth, truth.astype(np.float64), rate)
    for path in track(sorted(path for folder in textures for path in folder.rglob("*.flac")), "Listening to textures"):
        if (meant := _excerpt(path)) is not None:
            yield example_of(path.stem, meant[0], meant[0].astype(np.float64), meant[1])


def _excerpt(path: Path) -> tuple[Samples, int] | None:
    """The first eight seconds [samples] and their rate; None of what is too short, too low or silent."""
    whole = read_audio(path).mono()
    samples = whole.samples[0, : round(SECONDS * whole.sample_rate)]
    if len(samples) < SHORTEST_SECONDS * whole.sample_rate or whole.sample_rate < LOWEST_RATE:
        return None
    return (samples, whole.sample_rate) if np.abs(samples).max() > QUIETEST else None


def taught(examples: list[Example], judges: int, epochs: int, seed: int) -> dict[str, Tensor]:
    """The weights of judges that have seen `examples` so often, one above the other."""
    evidence, gain_db = _stacked(examples)
    mean, deviation = evidence.mean(dim=0), evidence.std(dim=0) + 1e-6
    told = ((evidence - mean) / deviation).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)
    wanted = (gain_db > GOOD_DB).float()
    weight = gain_db.abs().clamp(LEAST_DB, MOST_DB) * torch.where(wanted > 0, 1.0, FALSE_ALARM)
    weight /= weight.mean()
    found = []
    for number in range(judges):
        torch.manual_seed(seed + number)
        judge = Judge()
        optimizer = torch.optim.AdamW(judge.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        for _ in track(range(epochs), f"Teaching {number + 1} of {judges}"):
            for some in torch.randperm(len(examples)).split(BATCH):
                logits = judge(told[some] + SHAKEN * torch.randn_like(told[some]))
                lost = functional.binary_cross_entropy_with_logits(logits, wanted[some], weight[some])
                optimizer.zero_grad()
                lost.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            schedule.step()
        found.append(judge.state_dict())
    stacked = {name: torch.stack([one[name] for one in found]) for name in found[0]}
    return {"mean": mean, "deviation": deviation, **stacked}


def told_of(weights: dict[str, Tensor], examples: list[Example]) -> str:
    """How much of what is to be had the judges get, and what they do harm to."""
    judges = {name: one.numpy() for name, one in weights.items()}
    gain_db = np.array([one.gain_db for one in examples])
    chosen = np.array([certainty_of_low_noise(one.evidence, judges) > LIKELY for one in examples])
    had = gain_db * chosen
    return (
        f"{len(examples)} examples: {had.mean():.2f} of {gain_db.clip(min=0).mean():.2f} dB each, "
        f"{chosen.sum()} treated, {(had < -0.5).sum()} made worse by more than 0.5"
    )


def _stacked(examples: list[Example]) -> tuple[Tensor, Tensor]:
    evidence = torch.tensor(np.stack([one.evidence for one in examples]), dtype=torch.float32)
    return evidence, torch.tensor([one.gain_db for one in examples], dtype=torch.float32)


def main() -> int:
    """Listen, teach, say how it went, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clean", type=Path, required=True, help="folder of clean recordings")
    parser.add_argument("--damaged", type=Path, required=True, nargs="+", help="what `audiobuff degrade` made of them")
    parser.add_argument("--textures", type=Path, default=[], nargs="+", help="more recordings without a fault")
    parser.add_argument("--to", required=True, help="file of weights to write")
    parser.add_argument("--judges", type=int, default=4, help="how many to teach (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=60, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        with show_progress():
            examples = list(examples_of(arguments.clean, arguments.damaged, arguments.textures))
            kept = set(sorted({one.recording for one in examples})[::5])
            parts = [[one for one in examples if (one.recording in kept) is unseen] for unseen in (False, True)]
            if not all(parts):
                raise AudioNotFound(f"{len(examples)} examples in {arguments.clean}: expected some hundreds")
            weights = taught(parts[0], arguments.judges, arguments.epochs, arguments.seed)
        print("seen:", told_of(weights, parts[0]))
        print("unseen:", told_of(weights, parts[1]))
        write_bytes(arguments.to, save({name: one.contiguous() for name, one in weights.items()}))
    except AudioBuffError as error:
        print(f"low_noise_judge.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
