"""What a rank learns from, step after step, read ahead of its need."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from audiobuff_core.data.dataset import Batch, LatentDataset, collate
from audiobuff_core.data.sampler import micro_batch_counters, slot_at
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.draws import Draws, draw

Microbatches = list[tuple[Batch, Draws]]


class Feed:
    """The micro-batches of one rank.

    Attributes:
        waited_seconds: how long training has waited for them so far.
    """

    def __init__(self, dataset: LatentDataset, config: TrainingConfig, ranks: Ranks) -> None:
        """Nothing is read yet."""
        self.dataset, self.config, self.ranks = dataset, config, ranks
        self.waited_seconds = 0.0

    @property
    def samples_per_step(self) -> int:
        """Samples of all ranks and micro-batches."""
        return self.config.batch_size * self.config.grad_accum_steps * self.ranks.world_size

    def steps(self, samples_seen: int, num_steps: int) -> Iterator[Microbatches]:
        """The micro-batches of `num_steps` steps from sample `samples_seen` on, in order."""
        begins = [samples_seen + index * self.samples_per_step for index in range(num_steps)]
        if self.config.num_workers == 0:
            for begin in begins:
                yield self._waited(partial(self._read, begin))
            return
        with ThreadPoolExecutor(max_workers=self.config.num_workers) as readers:
            ahead: deque[Future[Microbatches]] = deque()
            try:
                for index in range(num_steps):
                    while len(ahead) <= self.config.num_workers and index + len(ahead) < num_steps:
                        ahead.append(readers.submit(self._read, begins[index + len(ahead)]))
                    yield self._waited(ahead.popleft().result)
            finally:
                for future in ahead:
                    future.cancel()

    def _waited(self, read: Callable[[], Microbatches]) -> Microbatches:
        begin = time.perf_counter()
        microbatches = read()
        self.waited_seconds += time.perf_counter() - begin
        return microbatches

    def _read(self, samples_seen: int) -> Microbatches:
        config, read = self.config, []
        for micro_batch in range(config.grad_accum_steps):
            counters = micro_batch_counters(
                samples_seen,
                micro_batch=micro_batch,
                rank=self.ranks.rank,
                world_size=self.ranks.world_size,
                batch_size=config.batch_size,
            )
            slots = [slot_at(counter, num_slots=len(self.dataset.slots), seed=config.seed) for counter in counters]
            segments = [
                self.dataset.segment(slot, config.seed, counter) for slot, counter in zip(slots, counters, strict=True)
            ]
            batch = collate(segments)
            read.append((batch, draw(config, counters, batch)))
        return read
