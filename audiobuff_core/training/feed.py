"""What a rank learns from, step after step, read ahead of its need."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from audiobuff_core.data.dataset import Batch, Segment, collate
from audiobuff_core.data.sampler import micro_batch_counters, slot_at
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.draws import Draws, draw
from audiobuff_core.training.fresh import FreshDamage

Microbatches = list[tuple[Batch, Draws]]


class Feed:
    """The micro-batches of one rank.

    Attributes:
        waited_seconds: how long training has waited for them so far.
    """

    def __init__(self, damage: FreshDamage, config: TrainingConfig, ranks: Ranks) -> None:
        """Nothing is read yet."""
        self.damage, self.config, self.ranks = damage, config, ranks
        self.waited_seconds = 0.0

    @property
    def num_slots(self) -> int:
        """Samples of one epoch."""
        return len(self.damage.prepared.slots)

    @property
    def samples_per_step(self) -> int:
        """Samples of all ranks and micro-batches."""
        return self.config.batch_size * self.config.grad_accum_steps * self.ranks.world_size

    def steps(
        self, samples_seen: int, num_steps: int, is_stopped: Callable[[], bool] = lambda: False
    ) -> Generator[Microbatches]:
        """The micro-batches of `num_steps` steps from sample `samples_seen` on, in order.

        Raises:
            DrawInterrupted: `is_stopped` says so, while damage was drawn that is needed next.
        """
        ended = threading.Event()

        def is_over() -> bool:
            return ended.is_set() or is_stopped()

        begins = [samples_seen + index * self.samples_per_step for index in range(num_steps)]
        self.damage.last_epoch = max(0, samples_seen + (num_steps - 1) * self.samples_per_step) // self.num_slots
        if self.config.num_workers == 0:
            for begin in begins:
                yield self._waited(partial(self._read, begin, is_over))
            return
        with ThreadPoolExecutor(max_workers=self.config.num_workers) as readers:
            ahead: deque[Future[Microbatches]] = deque()
            try:
                for index in range(num_steps):
                    while len(ahead) <= self.config.num_workers and index + len(ahead) < num_steps:
                        ahead.append(readers.submit(self._read, begins[index + len(ahead)], is_over))
                    yield self._waited(ahead.popleft().result)
            finally:
                ended.set()
                for future in ahead:
                    future.cancel()

    def _waited(self, read: Callable[[], Microbatches]) -> Microbatches:
        begin = time.perf_counter()
        microbatches = read()
        self.waited_seconds += time.perf_counter() - begin
        return microbatches

    def _read(self, samples_seen: int, is_stopped: Callable[[], bool]) -> Microbatches:
        config, read = self.config, []
        for micro_batch in range(config.grad_accum_steps):
            counters = micro_batch_counters(
                samples_seen,
                micro_batch=micro_batch,
                rank=self.ranks.rank,
                world_size=self.ranks.world_size,
                batch_size=config.batch_size,
            )
            batch = collate([self._segment(counter, is_stopped) for counter in counters])
            read.append((batch, draw(config, counters, batch)))
        return read

    def _segment(self, counter: int, is_stopped: Callable[[], bool]) -> Segment:
        slot = slot_at(counter, num_slots=self.num_slots, seed=self.config.seed)
        return self.damage.at(counter // self.num_slots, is_stopped).segment(slot, self.config.seed, counter)
