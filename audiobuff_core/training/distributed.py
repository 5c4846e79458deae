"""The ranks of one training run: a single process, or those that torchrun started."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import distributed

from audiobuff_core.errors import InvalidConfig, RanksFailed

DeviceChoice = Literal["auto", "cpu", "cuda", "mps"]
# What the backends say of a rank that is gone; each has its own words, and gloo no error of its own.
_PEER_LOST = re.compile(r"gloo|nccl|connection (closed|reset)|broken pipe|timed out|peer", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ranks:
    """Where this process stands among the others.

    Attributes:
        rank: 0 to `world_size` - 1; rank 0 logs and saves.
        world_size: number of processes on all nodes.
        device: of this process.
    """

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process logs and saves."""
        return self.rank == 0

    def totals(self, *numbers: float) -> list[float]:
        """The sum of each number over all ranks, exact for counts, by one exchange."""
        if not distributed.is_initialized():
            return list(numbers)
        # NCCL exchanges what is on the GPU, gloo what is on the CPU.
        place = self.device if self.device.type == "cuda" else torch.device("cpu")
        tensor = torch.tensor(numbers, dtype=torch.float64, device=place)
        distributed.all_reduce(tensor)
        return [float(number) for number in tensor]

    def total(self, number: float) -> float:
        """The sum of `number` over all ranks."""
        return self.totals(number)[0]

    def anyone(self, flag: bool) -> bool:
        """Whether `flag` is set on any rank."""
        return self.total(float(flag)) > 0

    def agree(self, *numbers: float) -> bool:
        """Whether all ranks have the numbers of the first; waits for all of them."""
        of_the_first = self.totals(*(number if self.is_first else 0.0 for number in numbers))
        return not self.anyone(of_the_first != list(numbers))

    def wait(self) -> None:
        """Return when every rank is here."""
        if distributed.is_initialized():
            distributed.barrier()


def pick_device(local_rank: int, wanted: DeviceChoice = "auto", *, num_ranks: int = 1) -> torch.device:
    """The device of this process: the one asked for, or the best accelerator there is.

    Raises:
        InvalidConfig: it is not there, or is no device for several ranks.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        # Apple's device has no exchange between processes.
        available["mps"] = available["mps"] and num_ranks == 1
        wanted = next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[wanted]:
        found = ", ".join(name for name, there in available.items() if there)
        raise InvalidConfig(f"--device {wanted}: this machine has {found}; name one of these or leave it out")
    if wanted == "mps" and num_ranks > 1:
        raise InvalidConfig(f"--device mps with {num_ranks} processes: expected one; start it without torchrun")
    index = local_rank % torch.cuda.device_count() if wanted == "cuda" else None
    return torch.device(wanted) if index is None else torch.device(wanted, index)


def backend_for(device: torch.device) -> Literal["nccl", "gloo"]:
    """What exchanges tensors between ranks on `device`."""
    return "nccl" if device.type == "cuda" else "gloo"


@contextmanager
def joined_ranks(wanted: DeviceChoice = "auto") -> Iterator[Ranks]:
    """The ranks that torchrun's environment describes (one if it is absent), connected inside the block.

    Raises:
        InvalidConfig: the device is not there.
        RanksFailed: the ranks can't meet, or one of them died inside the block.
    """
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = pick_device(int(os.environ.get("LOCAL_RANK", "0")), wanted, num_ranks=world_size)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        neighbours = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // neighbours))
    if "RANK" not in os.environ:
        yield Ranks(rank, world_size, device)
        return
    _meet(rank, world_size, device)
    try:
        yield Ranks(rank, world_size, device)
    except RuntimeError as error:
        if isinstance(error, distributed.DistError) or (world_size > 1 and _PEER_LOST.search(str(error))):
            # Torchrun ends the ranks that are left by SIGTERM: this one ends by itself, and first says why.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise RanksFailed(
                f"Rank {rank} of {world_size} lost another one, which has said why itself or was killed: start again, "
                "training goes on from the last checkpoint"
            ) from error
        raise
    finally:
        distributed.destroy_process_group()


def _meet(rank: int, world_size: int, device: torch.device) -> None:
    try:
        distributed.init_process_group(backend_for(device))
    except (distributed.DistError, RuntimeError, ValueError) as error:
        place = f"{os.environ.get('MASTER_ADDR', '?')}:{os.environ.get('MASTER_PORT', '?')}"
        reason = "the port is in use" if "EADDRINUSE" in str(error) else str(error).splitlines()[0][:150]
        raise RanksFailed(
            f"Rank {rank} of {world_size} can't meet the others at {place} ({reason}): choose a free port, as by "
            "torchrun --master_port PORT or --rdzv-endpoint=localhost:0, and start all ranks"
        ) from error
