"""What lessons of small networks share: reading ahead, a falling rate of learning, going on from earlier weights."""

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from noisy_blocks import Recording, recordings_of
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from audiobuff_core.errors import AudioBuffError, InvalidConfig
from audiobuff_core.files import write_bytes
from audiobuff_core.progress import show_progress, track

LEARNING_RATE, WEIGHT_DECAY, WARMUP, TOLD_EVERY, WRITTEN_EVERY = 2e-3, 0.01, 50, 50, 200
KEPT_EVERY = 10
Network = TypeVar("Network", bound=nn.Module)
Example = TypeVar("Example")


@dataclass(frozen=True, slots=True)
class Lesson(Generic[Network, Example]):
    """What a network is taught.

    Attributes:
        new: makes one that knows nothing.
        rate: of the recordings, in Hz.
        batch: examples of a step.
        steps: how many, unless told.
        example_of: draws what happened to a recording.
        loss_of: what the network makes of examples.
        told_of: says what it is worth on recordings.
    """

    new: Callable[[], Network]
    rate: int
    batch: int
    steps: int
    example_of: Callable[[Recording, np.random.Generator], Example]
    loss_of: Callable[[Network, list[Example]], Tensor]
    told_of: Callable[[Network, list[Recording]], str]

    def teach(self, network: Network, recordings: list[Recording], steps: int, seed: int, to: str) -> None:
        """Let `network` learn from so many batches, each drawn while the one before is learned from.

        What it has learned is written to `to` on the way and at the end, half as wide as it is; with no `steps` what
        it knew.

        Raises:
            InvalidConfig: the loss was not finite.
        """
        optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: min(1, (step + 1) / WARMUP) * (0.5 + 0.5 * float(np.cos(np.pi * step / max(1, steps)))),
        )

        def batch_of(step: int) -> list[Example]:
            generator = np.random.default_rng([seed, step])
            chosen = generator.integers(0, len(recordings), self.batch)
            return [self.example_of(recordings[index], generator) for index in chosen]

        recent: list[float] = []
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(batch_of, 0)
            for step in track(range(steps), "Teaching"):
                examples = coming.result()
                coming = reader.submit(batch_of, step + 1)
                loss = self.loss_of(network, examples)
                if not loss.isfinite():
                    raise InvalidConfig(f"The loss of step {step} is {loss.item()}: teach with another --seed")
                recent.append(loss.item())
                if step % TOLD_EVERY == TOLD_EVERY - 1:
                    print(f"step {step + 1}: loss {np.mean(recent[-TOLD_EVERY:]):.3f}", flush=True)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                if step % WRITTEN_EVERY == WRITTEN_EVERY - 1:
                    _write(network, to)
        _write(network, to)
        network.eval()

    def give(self, name: str, description: str | None) -> int:
        """Read, teach, say how it went, write: the script `name`; its exit code."""
        arguments = self._parser(description).parse_args()
        try:
            with show_progress():
                torch.manual_seed(arguments.seed)
                network = self.new().to(memory_format=torch.channels_last)
                if arguments.init_from:
                    read_into(network, arguments.init_from)
                seen, unseen = self._recordings(arguments.clean)
                self.teach(network, seen, arguments.steps, arguments.seed, arguments.to)
                print("unseen:", self.told_of(network, unseen))
        except AudioBuffError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        return 0

    def _parser(self, description: str | None) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        add = parser.add_argument
        add("--clean", type=Path, required=True, nargs="+", help="folders of kinds: music, voice, effect, texture")
        add("--to", required=True, help="the file to write")
        add("--steps", type=int, default=self.steps, help="with 0 it learns nothing (default: %(default)s)")
        more = "go on from what this wrote before, or from the mean of several such (default: a new network)"
        add("--init_from", type=Path, nargs="+", metavar="FILE", help=more)
        add("--seed", type=int, default=0, help="give another one to go on (default: %(default)s)")
        return parser

    def _recordings(self, folders: list[Path]) -> tuple[list[Recording], list[Recording]]:
        """Those to learn from, and a tenth that is not."""
        recordings = [one for folder in folders for one in recordings_of(folder, self.rate)]
        names = sorted({one.name for one in recordings})
        kept = set(names[::KEPT_EVERY])
        seen, unseen = ([one for one in recordings if (one.name in kept) is new] for new in (False, True))
        if not seen or not unseen:
            raise InvalidConfig(f"{len(names)} recordings: expected some dozens")
        return seen, unseen


def _write(network: nn.Module, to: str) -> None:
    write_bytes(to, save({name: value.half().contiguous() for name, value in network.state_dict().items()}))


def read_into(network: nn.Module, paths: list[Path]) -> None:
    """Give `network` the mean of the weights at `paths`.

    Raises:
        InvalidConfig: there are none of it.
    """
    read = []
    for path in paths:
        try:
            network.load_state_dict(load(path.read_bytes()))
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:150]
            raise InvalidConfig(f"--init_from {path}: {reason}; give what this script wrote") from error
        read.append({name: value.clone() for name, value in network.state_dict().items()})
    network.load_state_dict({name: torch.stack([one[name] for one in read]).mean(dim=0) for name in read[0]})
