"""Which sample comes when: a pure function of one counter, so that resuming needs nothing else."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.seeding import numpy_generator


@lru_cache(maxsize=4)
def _epoch_order(num_slots: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return numpy_generator("epoch order", seed, epoch).permutation(num_slots)


def slot_at(counter: int, *, num_slots: int, seed: int) -> int:
    """The slot (0 to `num_slots` - 1) of the `counter`-th sample ever drawn: each epoch visits every slot once."""
    epoch, place = divmod(counter, num_slots)
    return int(_epoch_order(num_slots, seed, epoch)[place])


def micro_batch_counters(samples_seen: int, *, micro_batch: int, rank: int, world_size: int, batch_size: int) -> range:
    """The counters of one rank's micro-batch in the step that begins at `samples_seen`.

    The samples of a step are the same whatever the number of ranks: 1 rank x 4, 2 x 2 and accumulation 4 x 1 take
    the same four counters.
    """
    first = samples_seen + (micro_batch * world_size + rank) * batch_size
    return range(first, first + batch_size)
