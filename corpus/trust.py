"""Teach a model how far to trust its own corrections, and lay what came of it beside its weights.

    uv run python corpus/vary.py --of ~/corpus/clips --to ~/corpus/varied --seed 3
    uv run audiobuff degrade ~/corpus/varied ~/corpus/damaged --recipe corpus/box.toml
    uv run python corpus/trust.py --model model --clean ~/corpus/varied --damaged ~/corpus/damaged

Each damaged recording and each clean one gives an example: what the network would change about it after the
treatments, and of every band whether that brings it nearer to what was recorded, in dB of error (above a floor of
-45 dB). The recordings must be none that the network learned from: of those it is surer than it will be of others. A
fifth is kept for the figures that are printed. About two recordings a second on one core, then some minutes.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.errors import AudioBuffError, InvalidConfig
from audiobuff_core.evaluation.pairs import pair_files
from audiobuff_core.files import write_bytes
from audiobuff_core.inference.agreement import treat_with
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.inference.sections import level_gain_of
from audiobuff_core.inference.trust import LEAST_CERTAINTY, Judge, Trust, evidence_of
from audiobuff_core.models.schema import TRUST_NAME
from audiobuff_core.models.stored import is_export
from audiobuff_core.progress import show_progress, track

SECONDS = 5
HARMLESS = 10**-4.5
"""Error energy, relative to the clean recording's, below which nothing is worth a decision."""
BAND_SHARE = 0.3
"""What a dB of the bands' mean error is worth in dB of the whole error."""
FALSE_ALARM = 3.0
"""What a band that should have been left alone weighs more than one that should not."""
MOST_DB = 12.0
BATCH, LEARNING_RATE, WEIGHT_DECAY = 32, 2e-3, 0.05
SHAKEN, SILENCED = 0.1, 0.2
"""Noise on the evidence, and the share of it that is left out, while a judge is taught."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """The evidence [features, bands] and what correcting each band gains, in dB, [bands]."""

    recording: str
    evidence: Float[Tensor, "features bands"]
    gain_db: Float[Tensor, "bands"]


def example_of(recording: str, restorer: Restorer, damaged: Waveform, clean: Waveform) -> Example:
    """What a damaged excerpt of one channel teaches."""
    treated = treat_with(restorer, damaged)
    heard = treated.waveform
    gain = level_gain_of(lambda first, last: heard.samples[:, first:last], heard.num_samples)
    levelled, target = heard.scaled(gain), clean.scaled(gain)
    proposal = restorer.proposal(levelled, treated.repairs)
    standardiser = restorer.standardisers["target"]
    truth = standardiser.to_standard(restorer.codec.encode(target).values)
    estimate = proposal.damaged + proposal.correction
    energy = energies(truth, proposal.bands)
    floor = 1e-3 * (energy.mean() + 1)
    own = [energies(one - truth, proposal.bands) / (energy + floor) for one in (proposal.damaged, estimate)]
    latents = replace(restorer.codec.encode(levelled), values=standardiser.from_standard(estimate))
    corrected = restorer.hearing.to_audio(latents, levelled, 1.0)
    edges_hz = restorer.bands.edges_hz
    loud = float(np.square(target.samples, dtype=np.float64).sum()) + 1e-3
    whole = [powers(one.samples - target.samples, clean.sample_rate, edges_hz) / loud for one in (levelled, corrected)]
    evidence = evidence_of(proposal)[0]
    return Example(recording, evidence[len(evidence) // 2], gain_db(whole[0], whole[1], own[0], own[1]))


def energies(latents: Float[Tensor, "1 frames latent"], bands: Sequence[slice]) -> Float[Tensor, "bands"]:
    """Those of the latents of each band."""
    return torch.stack([latents[..., band].square().sum() for band in bands])


def powers(samples: Samples, sample_rate: int, edges_hz: tuple[float, ...]) -> Float[Tensor, "bands"]:
    """The energies of one channel between edges."""
    spectrum = np.abs(np.fft.rfft(samples[0].astype(np.float64)))
    bins = np.searchsorted(np.fft.rfftfreq(samples.shape[1], 1 / sample_rate), edges_hz)
    sums = [np.square(spectrum[first:last]).sum() for first, last in pairwise(bins)]
    return torch.tensor(np.array(sums) * 2 / samples.shape[1], dtype=torch.float32)


def gain_db(before: Tensor, after: Tensor, was: Tensor, becomes: Tensor) -> Float[Tensor, "bands"]:
    """Of each band alone, all others being as they should: by shares of the whole error, and by its own error."""
    best = torch.minimum(before, after)
    others = best.sum() - best
    whole = 10 * torch.log10((others + before + HARMLESS) / (others + after + HARMLESS))
    each = 10 * torch.log10((was + 10 * HARMLESS) / (becomes + 10 * HARMLESS))
    return whole + BAND_SHARE / len(before) * each


def examples_of(restorer: Restorer, clean: Path, damaged: list[Path]) -> list[Example]:
    """Those of every damaged recording, and of every clean one.

    Raises:
        AudioNotFound: a folder is missing, or nothing is paired.
    """
    items = [item for folder in damaged for item in pair_files(clean, folder, [])[0]]
    found: list[Example] = []
    known: set[Path] = set()
    with show_progress():
        for index, item in enumerate(track(items, "Listening to corrections")):
            whole, hurt = read_audio(item.clean).mono(), read_audio(item.degraded).mono()
            rate = whole.sample_rate
            first = index % 6 * rate if whole.num_samples >= (SECONDS + 5) * rate else 0
            last = min(first + SECONDS * rate, whole.num_samples, hurt.num_samples)
            if last - first < rate or hurt.sample_rate != rate:
                continue
            truth, excerpt = (Waveform(one.samples[:, first:last].copy(), rate) for one in (whole, hurt))
            found.append(example_of(item.name, restorer, excerpt, truth.scaled(item.clean_gain)))
            if item.clean not in known:
                found.append(example_of(item.name, restorer, truth, truth))
                known.add(item.clean)
    return found


def stacked(
    examples: list[Example],
) -> tuple[Float[Tensor, "examples features bands"], Float[Tensor, "examples bands"]]:
    """The evidence and the gains of all."""
    return torch.stack([one.evidence for one in examples]), torch.stack([one.gain_db for one in examples])


def taught(examples: list[Example], judges: int, epochs: int, seed: int) -> Trust:
    """Judges that have seen `examples` so often."""
    evidence, gains = stacked(examples)
    trust = Trust(evidence.mean(dim=(0, 2)), evidence.std(dim=(0, 2)) + 0.01, judges)
    told, wanted = trust.standardised(evidence), (gains > 0).float()
    weight = gains.abs().clamp(max=MOST_DB) * torch.where(wanted > 0, 1.0, FALSE_ALARM)
    for number in range(judges):
        torch.manual_seed(seed + number)
        trust.judges[number] = judge = Judge(len(trust.mean))
        optimizer = torch.optim.AdamW(judge.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, epochs)
        for _ in track(range(epochs), f"Teaching {number + 1} of {judges}"):
            for some in torch.split(torch.randperm(len(examples)), BATCH):
                shaken = functional.dropout(told[some] + SHAKEN * torch.randn_like(told[some]), SILENCED)
                lost = functional.binary_cross_entropy_with_logits(judge(shaken), wanted[some], reduction="none")
                optimizer.zero_grad()
                (lost * weight[some]).sum(dim=-1).mean().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            schedule.step()
    return trust.eval()


def told_of(trust: Trust, examples: list[Example]) -> str:
    """How much of what is to be had the judges get, and what they do harm to."""
    evidence, gains = stacked(examples)
    had = (gains * (trust.certainty(evidence) > LEAST_CERTAINTY)).sum(dim=-1)
    return (
        f"{len(examples)} recordings: {float(had.mean()):.2f} of {float(gains.clamp(min=0).sum(dim=-1).mean()):.2f} dB "
        f"a recording, {int((had < -0.5).sum())} made worse by more than 0.5"
    )


def main() -> int:
    """Listen, teach, say how it went, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="an export; what is taught is written into it")
    parser.add_argument("--clean", type=Path, required=True, help="folder of clean recordings")
    parser.add_argument("--damaged", type=Path, required=True, nargs="+", help="what `audiobuff degrade` made of them")
    parser.add_argument("--judges", type=int, default=4, help="how many to teach (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=150, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        if not is_export(arguments.model):
            raise InvalidConfig(f"{arguments.model} is no export: make one by audiobuff export")
        place = Path(arguments.model) / TRUST_NAME
        restorer = Restorer.load(arguments.model)
        examples = examples_of(restorer, arguments.clean, arguments.damaged)
        recordings = sorted({one.recording for one in examples})
        kept = set(recordings[::5])
        parts = [[one for one in examples if (one.recording in kept) is unseen] for unseen in (False, True)]
        if not all(parts):
            raise InvalidConfig(f"{len(recordings)} recordings in {arguments.clean}: expected some hundreds")
        with show_progress():
            trust = taught(parts[0], arguments.judges, arguments.epochs, arguments.seed)
        print("seen:", told_of(trust, parts[0]))
        print("unseen:", told_of(trust, parts[1]))
        write_bytes(str(place), trust.to_bytes(restorer.identity["checkpoint_sha256"]))
    except AudioBuffError as error:
        print(f"trust.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
