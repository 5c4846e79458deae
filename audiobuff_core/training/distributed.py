"""The ranks of one training run: a single process, or those that torchrun started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed


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
        # MPS has no float64, and its ranks talk by gloo anyway.
        device = self.device if self.device.type == "cuda" else torch.device("cpu")
        tensor = torch.tensor(numbers, dtype=torch.float64, device=device)
        distributed.all_reduce(tensor)
        return [float(number) for number in tensor]

    def total(self, number: float) -> float:
        """The sum of `number` over all ranks."""
        return self.totals(number)[0]

    def anyone(self, flag: bool) -> bool:
        """Whether `flag` is set on any rank."""
        return self.total(float(flag)) > 0

    def wait(self) -> None:
        """Return when every rank is here."""
        if distributed.is_initialized():
            distributed.barrier()


def pick_device(local_rank: int) -> torch.device:
    """The accelerator of this process where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", local_rank % torch.cuda.device_count())
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """The ranks that torchrun's environment describes (one if it is absent), connected inside the block."""
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = pick_device(int(os.environ.get("LOCAL_RANK", "0")))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        neighbours = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // neighbours))
    launched = "RANK" in os.environ
    if launched:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(rank, world_size, device)
    finally:
        if launched:
            distributed.destroy_process_group()
