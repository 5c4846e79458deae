"""Teach the judge of `audiobuff_core.treatment.noise_judge` from folders that `audiobuff prepare` made.

    uv run python corpus/noise_judge.py --store store --to audiobuff_core/treatment/noise_judge.safetensors

Each damaged recording and each clean one gives an example: what lies under it, and of every band what taking that away
changes, in dB of SI-SDR (above a floor of -45 dB) and of LSD. A fifth of the recordings is kept for the figures that it
prints. Two to three recordings a second on one core, then some minutes.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.data.damage import load_degraded
from audiobuff_core.data.library import list_shards
from audiobuff_core.errors import AudioBuffError, DataMissing
from audiobuff_core.evaluation.metrics.lsd import FLOOR_DB
from audiobuff_core.files import write_bytes
from audiobuff_core.progress import show_progress, track
from audiobuff_core.treatment.chain import GUESSES, treat
from audiobuff_core.treatment.noise import gains
from audiobuff_core.treatment.noise_floor import EVIDENCE, floor_of, power_of, transform_of

SECONDS = 6
HARMLESS = 10**-4.5
"""Error energy, relative to the clean recording's, below which nothing is worth a decision."""
LSD_SHARE = 0.3
"""What a dB of LSD is worth in dB of SI-SDR."""
FALSE_ALARM = 3.0
"""What a band that should have been left alone weighs more than one that should not."""
MOST_DB = 12.0
WIDTH, TAPS = 24, 5


@dataclass(frozen=True, slots=True)
class Example:
    """The evidence [bands, EVIDENCE] and what taking the floor of each band away gains, in dB, [bands]."""

    recording: str
    evidence: NDArray[np.float64]
    gain_db: NDArray[np.float64]


class Judge(nn.Module):
    """As `noise_judge` counts it, for a batch; `inside` [batch, bands] is 1 for bands that are there."""

    def __init__(self, width: int = WIDTH) -> None:
        """Make the three layers."""
        super().__init__()
        self.first = nn.Conv1d(len(EVIDENCE), width, TAPS, padding=TAPS // 2)
        self.second = nn.Conv1d(2 * width, width, TAPS, padding=TAPS // 2)
        self.last = nn.Conv1d(2 * width, 1, 1)

    def forward(self, evidence: Tensor, inside: Tensor) -> Tensor:
        """The logit of each band, [batch, bands]."""
        values = evidence
        for layer in (self.first, self.second):
            values = functional.relu(layer(values)) * inside[:, None]
            mean = values.sum(dim=-1, keepdim=True) / inside.sum(dim=-1)[:, None, None]
            values = torch.cat([values, mean.expand_as(values)], dim=1)
        logits: Tensor = self.last(values)[:, 0]
        return logits


def example_of(recording: str, damaged: Samples, clean: Samples, sample_rate: int) -> Example | None:
    """What `damaged` [samples] teaches; None if it has no floor."""
    floor = floor_of(damaged, sample_rate)
    if floor is None:
        return None
    transform = transform_of(sample_rate)
    heard, truth = (transform.spectrum(one) for one in (damaged, clean))
    quiet = heard * gains(power_of(heard), floor.power)
    full_scale = (transform.window.sum() / 2) ** 2

    def by_band(spectrum: NDArray[np.floating]) -> NDArray[np.floating]:
        return np.add.reduceat(spectrum, floor.edges[:-1])

    def level_db(spectrum: NDArray[np.complexfloating]) -> NDArray[np.floating]:
        return np.asarray(10 * np.log10(power_of(spectrum) / full_scale + 10 ** (FLOOR_DB / 10)))

    errors = [by_band(power_of(one - truth).sum(axis=0)) for one in (heard, quiet)]
    distances = [
        by_band(np.square(level_db(one) - level_db(truth)).mean(axis=0)) / truth.shape[1] for one in (heard, quiet)
    ]
    energy = float(power_of(truth).sum()) + 1e-12
    return Example(recording, floor.evidence, _gain_db(*(error / energy for error in errors), *distances))


def _gain_db(
    before: NDArray[np.floating], after: NDArray[np.floating], was: NDArray[np.floating], becomes: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Of each band alone, all others being as they should: by relative error energies, and by squared distances."""
    better = after < before
    others = np.minimum(before, after).sum() - np.minimum(before, after)
    beyond = np.where(better, becomes, was)
    beyond = np.maximum(beyond.sum() - beyond, 0.0)
    si_sdr = 10 * np.log10((others + before + HARMLESS) / (others + after + HARMLESS))
    lsd = np.sqrt(beyond + was) - np.sqrt(beyond + becomes)
    return np.asarray(si_sdr + LSD_SHARE * lsd)


def examples_of(stores: list[str]) -> list[Example]:
    """Those of every damaged recording, all other treatments applied, and of every clean one."""
    items = [item for store in stores for shard in list_shards(store) for item in load_degraded(store, shard).items]
    if not items:
        raise DataMissing(f"Nothing is prepared under {', '.join(stores)}: give what `audiobuff prepare` wrote")
    found: list[Example | None] = []
    known: set[str] = set()
    with show_progress():
        for index, item in enumerate(track(items, "Listening to floors")):
            clean, damaged = (read_audio(path).mono() for path in (item.clean_path, item.path))
            rate = clean.sample_rate
            begin = index % 6 * rate if clean.num_samples >= 11 * rate else 0
            span = slice(begin, min(begin + SECONDS * rate, clean.num_samples, damaged.num_samples))
            truth = clean.samples[0, span]
            excerpt = Waveform(damaged.samples[:, span].copy(), rate)
            heard = treat(excerpt, without=GUESSES).waveform.samples[0]
            found += [
                example_of(item.track_id, one, truth, rate)
                for one in (heard, truth)[: 1 + (item.track_id not in known)]
            ]
            known.add(item.track_id)
    return [one for one in found if one is not None]


def batch_of(examples: list[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """Evidence [batch, EVIDENCE, bands], gains and which bands are there, [batch, bands]."""
    most = max(len(one.gain_db) for one in examples)
    padded = [most - len(one.gain_db) for one in examples]
    evidence = np.stack([np.pad(one.evidence.T, ((0, 0), (0, pad))) for one, pad in zip(examples, padded, strict=True)])
    gain_db = np.stack([np.pad(one.gain_db, (0, pad)) for one, pad in zip(examples, padded, strict=True)])
    inside = np.stack([np.arange(most) < most - pad for pad in padded])
    return tuple(torch.tensor(one, dtype=torch.float32) for one in (evidence, gain_db, inside))  # type: ignore[return-value]


def taught(examples: list[Example], epochs: int, seed: int) -> Judge:
    """A judge that has seen `examples` so often."""
    torch.manual_seed(seed)
    judge = Judge()
    optimizer = torch.optim.AdamW(judge.parameters(), 3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, epochs)
    evidence, gain_db, inside = batch_of(examples)
    wanted = (gain_db > 0).float()
    weight = gain_db.abs().clamp(max=MOST_DB) * torch.where(wanted > 0, 1.0, FALSE_ALARM) * inside
    for _ in range(epochs):
        for some in torch.randperm(len(examples)).split(32):
            shaken = evidence[some] + 0.08 * torch.randn_like(evidence[some])
            lost = functional.binary_cross_entropy_with_logits(
                judge(shaken, inside[some]), wanted[some], reduction="none"
            )
            optimizer.zero_grad()
            (lost * weight[some]).sum(dim=-1).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
    return judge


@torch.no_grad()
def together(judges: list[Judge]) -> Judge:
    """One judge, so much wider, whose logit is the mean of theirs: they err in different places."""
    both = Judge(WIDTH * len(judges))
    values = both.state_dict()
    for name in ("second.weight", "last.weight"):
        values[name].zero_()
    for number, judge in enumerate(judges):
        its = judge.state_dict()
        own = slice(number * WIDTH, (number + 1) * WIDTH)
        for name in ("first.weight", "first.bias", "second.bias"):
            values[name][own] = its[name]
        for half in range(2):  # what the layer before says in a band, and its mean over all
            there = slice((half * len(judges) + number) * WIDTH, (half * len(judges) + number + 1) * WIDTH)
            here = slice(half * WIDTH, (half + 1) * WIDTH)
            values["second.weight"][own, there] = its["second.weight"][:, here]
            values["last.weight"][:, there] = its["last.weight"][:, here] / len(judges)
    values["last.bias"].copy_(torch.stack([judge.last.bias for judge in judges]).mean(dim=0))
    both.load_state_dict(values)
    return both


@torch.no_grad()
def told(judge: Judge, examples: list[Example]) -> str:
    """How much of what is to be had the judge gets, and what it does harm to."""
    evidence, gain_db, inside = batch_of(examples)
    chosen = (judge(evidence, inside) > 0) & (inside > 0)
    had = (gain_db * chosen).sum(dim=-1)
    there = (gain_db.clamp(min=0) * inside).sum(dim=-1)
    return (
        f"{len(examples)} recordings: {float(had.mean()):.2f} of {float(there.mean()):.2f} dB a recording, "
        f"{int((had < -0.5).sum())} made worse by more than 0.5"
    )


def main() -> int:
    """Listen, teach, say how it went, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True, nargs="+", help="what `audiobuff prepare` wrote")
    parser.add_argument("--to", required=True, help="file of weights to write")
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument(
        "--judges", type=int, default=2, help="how many to teach and put together (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        examples = examples_of(arguments.store)
        recordings = sorted({one.recording for one in examples})
        kept = set(recordings[::5])
        seen = [one for one in examples if one.recording not in kept]
        unseen = [one for one in examples if one.recording in kept]
        seeds = range(arguments.seed, arguments.seed + arguments.judges)
        judge = together([taught(seen, arguments.epochs, seed) for seed in seeds])
        print("seen:", told(judge, seen))
        print("unseen:", told(judge, unseen))
        write_bytes(arguments.to, save({name: one.contiguous() for name, one in judge.state_dict().items()}))
    except AudioBuffError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
