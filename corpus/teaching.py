"""What lessons of small networks share: reading ahead, a falling rate of learning, going on from earlier weights."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from audiobuff_core.errors import InvalidConfig
from audiobuff_core.files import write_bytes
from audiobuff_core.progress import track

LEARNING_RATE, WEIGHT_DECAY, WARMUP, TOLD_EVERY, WRITTEN_EVERY = 2e-3, 0.01, 50, 50, 200
Batch = TypeVar("Batch")


def teach(
    network: nn.Module, batch_of: Callable[[int], Batch], loss_of: Callable[[Batch], Tensor], steps: int, to: str
) -> None:
    """Let `network` learn from `batch_of(step)`, each drawn while the one before is learned from, by `loss_of` it.

    What it has learned is written to `to` on the way and at the end, half as wide as it is.

    Raises:
        InvalidConfig: the loss was not finite.
    """
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / WARMUP) * (0.5 + 0.5 * float(np.cos(np.pi * step / steps)))
    )
    recent: list[float] = []
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(batch_of, 0)
        for step in track(range(steps), "Teaching"):
            batch = coming.result()
            coming = reader.submit(batch_of, step + 1)
            loss = loss_of(batch)
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
            if step % WRITTEN_EVERY == WRITTEN_EVERY - 1 or step == steps - 1:
                values = {name: value.half().contiguous() for name, value in network.state_dict().items()}
                write_bytes(to, save(values))
    network.eval()


def read_into(network: nn.Module, path: Path) -> None:
    """Give `network` the weights at `path`.

    Raises:
        InvalidConfig: there are none of it.
    """
    try:
        network.load_state_dict(load(path.read_bytes()))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:150]
        raise InvalidConfig(f"--init_from {path}: {reason}; give what this script wrote") from error
