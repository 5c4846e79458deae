"""Teach the network of `audiobuff_core.treatment.band_envelope` from folders that `audiobuff prepare` made.

    uv run python corpus/band_envelope.py --store store --to audiobuff_core/treatment/band_envelope.safetensors

Of each damaged recording that was cut off it learns how loud what is missing was; of recordings that have all, cut off
at the same edges, too. Those that ended early before anything happened to them, and others made to end where a lower
rate would, teach it to guess nothing. Ten recordings a second on one core, then ten minutes.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from audiobuff_core.audio.bandwidth import band_edge_hz
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.registry import load_codec
from audiobuff_core.data.prepare_latents import PREPARED_NAME
from audiobuff_core.data.snapshot import load_snapshot
from audiobuff_core.data.store import open_group
from audiobuff_core.errors import AudioBuffError, DataMissing
from audiobuff_core.files import join, read_json, write_bytes
from audiobuff_core.progress import show_progress, track
from audiobuff_core.treatment import band_envelope
from audiobuff_core.treatment.band_envelope import (
    LAYERS,
    LOUDEST_DB,
    NOTHING_DB,
    NUM_BANDS,
    QUANTILES,
    SCALE_DB,
    Levels,
)

T = TypeVar("T")
Half = NDArray[np.float16]

WIDTH, TAPS = 64, 3
FRAMES, BATCH = 192, 24
# The clean recording ends there too, or a little further up: nothing was lost.
SAME_EDGE = 1.25
# Where recordings at 11,025, 16,000, 22,050, 24,000 and 32,000 Hz end.
LOWER_RATES_HZ = (5362.0, 7800.0, 10_660.0, 11_500.0, 15_500.0)
# Shares of what is drawn: cut off, ended early, cut off by hand; the rest is made to end early.
DRAWN = (0.45, 0.15, 0.25)
# Of those cut off by hand, so many had ended early before.
ENDED_SHARE = 0.35
LEVEL_SPREAD_DB = 5.0


@dataclass(frozen=True, slots=True)
class Example:
    """A recording, kept back or not, clean and damaged, as `levels_of` gives it, the edge of each, if it has one."""

    is_kept: bool
    clean: Half
    damaged: Half
    clean_edge_hz: float | None
    damaged_edge_hz: float | None

    @property
    def lost(self) -> bool:
        """Whether the damage cut it off."""
        edge, own = self.damaged_edge_hz, self.clean_edge_hz
        return edge is not None and (own is None or own > SAME_EDGE * edge)


class Envelope(nn.Module):
    """As `band_envelope.guessed` counts it, for a batch."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.into = nn.Conv1d(2 * NUM_BANDS, WIDTH, 1)
        self.layers = nn.ModuleList(
            nn.Conv1d(WIDTH, WIDTH, TAPS, padding=2**index, dilation=2**index) for index in range(LAYERS)
        )
        self.whole = nn.Conv1d(2 * WIDTH, WIDTH, 1)
        self.out = nn.Conv1d(WIDTH, len(QUANTILES) * NUM_BANDS, 1)

    def forward(self, heard: Tensor, lost: Tensor) -> Tensor:
        """The guesses [batch, QUANTILES, NUM_BANDS, frames] from [batch, NUM_BANDS, frames] and [batch, NUM_BANDS]."""
        marks = lost[:, :, None].expand_as(heard)
        values = functional.relu(self.into(torch.cat([heard / SCALE_DB + 1, marks], dim=1)))
        for index, layer in enumerate(self.layers):
            values = values + functional.dropout(functional.relu(layer(values)), 0.1, self.training)
            if index == band_envelope.WHOLE_AFTER:
                whole = torch.cat([values.mean(dim=2, keepdim=True), values.std(dim=2, keepdim=True)], dim=1)
                values = values + self.whole(whole)
        guesses: Tensor = self.out(values).reshape(len(heard), len(QUANTILES), NUM_BANDS, -1)
        return (guesses - 1) * SCALE_DB


def examples_of(stores: list[str]) -> list[Example]:
    """Those of every damaged recording in the snapshots of `stores`."""
    found = []
    with show_progress():
        for store in stores:
            snapshot = load_snapshot(join(store, read_json(join(store, PREPARED_NAME))["snapshot"]))
            codec = load_codec(snapshot.encoders.codec)
            groups = {place: open_group(place) for place in {item.groups["target"] for item in snapshot.items}}
            for item in track(list(snapshot.items), f"Listening to {store}"):
                group = groups[item.groups["target"]]
                heard = []
                for name in (f"clean.v{item.variant}", f"v{item.variant}"):
                    frames = group.record(f"{item.track_id}/{name}", codec.from_stored)
                    sound = codec.decode(frames, (frames.num_frames - 1) * codec.hop_length)
                    levels = band_envelope.levels_of(sound.samples[0], sound.sample_rate).astype(np.float16)
                    heard.append((levels, band_edge_hz(Waveform(sound.samples[:1], sound.sample_rate))))
                (clean, own_edge), (damaged, edge) = heard
                found.append(Example(item.split != "train", clean, damaged, own_edge, edge))
    return found


Lesson = tuple[Levels, NDArray[np.bool_], Levels]


def lesson_of(
    clean: Half, damaged: Half, edge_hz: float, *, ended_hz: float | None = None, louder_db: float = 0.0
) -> Lesson:
    """What the network hears, which bands are lost, and what it should guess; nothing where it had ended before."""
    lost = band_envelope.lost_bands(edge_hz)
    heard, mean_db = band_envelope.relative(damaged.astype(np.float32), lost)
    heard = np.where(lost, NOTHING_DB, np.clip(heard - louder_db, NOTHING_DB, LOUDEST_DB)).astype(np.float32)
    wanted = np.clip(clean.astype(np.float32) - mean_db - louder_db, NOTHING_DB, LOUDEST_DB)
    if ended_hz is not None:
        wanted[:, band_envelope.lost_bands(ended_hz)] = NOTHING_DB
    return heard, lost, wanted


class Lessons:
    """Draws them from the recordings that are not kept back."""

    def __init__(self, examples: list[Example], seed: int) -> None:
        """Sort `examples`."""
        self.generator = np.random.default_rng(seed)
        self.lost = [one for one in examples if one.lost]
        self.ended = [one for one in examples if one.damaged_edge_hz is not None and not one.lost]
        self.whole = [one for one in examples if one.clean_edge_hz is None]
        if not (self.lost and self.ended and self.whole):
            raise DataMissing("Of recordings cut off, ended early and whole, one kind is missing: prepare more")

    def draw(self) -> Lesson:
        """One, cut to `FRAMES`."""
        kind = int(np.searchsorted(np.cumsum(DRAWN), self.generator.random()))
        louder_db = LEVEL_SPREAD_DB * self.generator.standard_normal()
        one = self._any((self.lost, self.ended, self.whole, self.whole)[kind])
        if kind < 2:
            edge_hz = one.damaged_edge_hz or 0.0
            ended_hz = edge_hz if kind == 1 else None
            lesson = lesson_of(one.clean, one.damaged, edge_hz, ended_hz=ended_hz, louder_db=louder_db)
        elif kind == 2:
            edge_hz = (self._any(self.lost).damaged_edge_hz or 0.0) * (1 + 0.01 * self.generator.standard_normal())
            heard = one.damaged if one.damaged_edge_hz is None and self.generator.random() < 0.5 else one.clean
            ended_hz = self._any(LOWER_RATES_HZ) if self.generator.random() < ENDED_SHARE else None
            ended_hz = ended_hz if ended_hz is not None and ended_hz > edge_hz else None
            lesson = lesson_of(one.clean, heard, edge_hz, ended_hz=ended_hz, louder_db=louder_db)
        else:
            edge_hz = self._any(LOWER_RATES_HZ) * (1 + 0.005 * self.generator.standard_normal())
            lesson = lesson_of(one.clean, one.clean, edge_hz, ended_hz=edge_hz, louder_db=louder_db)
        return self._cut(lesson)

    def _any(self, among: Sequence[T]) -> T:
        return among[int(self.generator.integers(len(among)))]

    def _cut(self, lesson: Lesson) -> Lesson:
        heard, lost, wanted = lesson
        missing = ((0, max(0, FRAMES - len(heard))), (0, 0))
        heard, wanted = (np.pad(one, missing, constant_values=NOTHING_DB) for one in (heard, wanted))
        first = int(self.generator.integers(len(heard) - FRAMES + 1))
        return heard[first : first + FRAMES].T, lost, wanted[first : first + FRAMES].T


def pinball(guesses: Tensor, wanted: Tensor, lost: Tensor) -> Tensor:
    """Koenker and Bassett's loss of quantiles (1978), in dB, over the lost bands."""
    share = torch.tensor(QUANTILES)[None, :, None, None]
    error = wanted[:, None] - guesses
    each = torch.maximum(share * error, (share - 1) * error)
    return (each * lost[:, None, :, None]).sum() / (lost.sum() * wanted.shape[2] * len(QUANTILES))


def taught(examples: list[Example], steps: int, seed: int) -> Envelope:
    """A network that has seen `steps` batches of them."""
    torch.manual_seed(seed)
    network, lessons = Envelope(), Lessons(examples, seed)
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    with show_progress():
        for _ in track(range(steps), "Teaching"):
            batch = zip(*(lessons.draw() for _ in range(BATCH)), strict=True)
            heard, lost, wanted = (torch.tensor(np.stack(one), dtype=torch.float32) for one in batch)
            optimizer.zero_grad()
            pinball(network(heard, lost), wanted, lost).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def told(network: Envelope, examples: list[Example]) -> str:
    """How far off the lost bands are, in dB, left empty and filled by the mean of the guesses."""
    off = []
    for one in examples:
        if one.damaged_edge_hz is not None:
            edge_hz = one.damaged_edge_hz
            heard, lost, wanted = lesson_of(one.clean, one.damaged, edge_hz, ended_hz=None if one.lost else edge_hz)
            guess = network(torch.tensor(heard.T[None]), torch.tensor(lost[None]).float())[0].mean(dim=0).numpy().T
            errors = [np.square(each - wanted)[:, lost].mean(axis=1) for each in (NOTHING_DB, guess)]
            off.append((one.lost, *(float(np.sqrt(error).mean()) for error in errors)))
    told = []
    for was_lost, name in ((True, "cut off"), (False, "ended early")):
        rows = np.array([row[1:] for row in off if row[0] == was_lost]).reshape(-1, 2)
        empty, filled = rows.mean(axis=0) if len(rows) else (np.nan, np.nan)
        told.append(f"{len(rows)} {name}: {empty:.1f} dB left empty, {filled:.1f} dB filled")
    return "; ".join(told)


def main() -> int:
    """Listen, teach, say how it went, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True, nargs="+", help="what `audiobuff prepare` wrote")
    parser.add_argument("--to", required=True, help="file of weights to write")
    parser.add_argument("--steps", type=int, default=6000, help="of 24 stretches (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        examples = examples_of(arguments.store)
        seen, unseen = ([one for one in examples if one.is_kept == kept] for kept in (False, True))
        network = taught(seen, arguments.steps, arguments.seed)
        print("seen:", told(network, seen))
        print("unseen:", told(network, unseen))
        values = {name: one.half().contiguous() for name, one in network.state_dict().items()}
        write_bytes(arguments.to, save(values))
    except AudioBuffError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
