"""Twenty minutes of stereo: memory that does not grow with length, and joins that can't be told from elsewhere."""

import numpy as np
import psutil
import pytest
import torch

from audiobuff_core.inference import sections
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.inference.sections import plan_sections

RATE, SECONDS = 44_100, 1_200


def _second(number):
    return np.random.default_rng(number).standard_normal((2, RATE), np.float32)


def read(first, last):
    """Stereo noise and a tone, made as it is asked for: the recording itself is nowhere in memory."""
    blocks = range(first // RATE, (last - 1) // RATE + 1)
    noise = np.concatenate([_second(one) for one in blocks], axis=1)
    place = np.arange(first, last) - blocks[0] * RATE
    tone = np.sin(2 * np.pi * 330 * np.arange(first, last) / RATE)
    return (0.05 * noise[:, place] + 0.1 * tone).astype(np.float32)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_minutes(export):
    restorer = Restorer.load(str(export))
    bias = restorer.model.vfn.head.fields.bias
    bias.data += 0.03 * torch.randn(bias.shape, generator=torch.Generator().manual_seed(3))
    for _ in restorer.stream(read, 20 * RATE, RATE, steps=1):
        pass
    process = psutil.Process()
    before = process.memory_info().rss
    peak, energies, done = before, [], 0
    for piece in restorer.stream(read, SECONDS * RATE, RATE, steps=1):
        peak = max(peak, process.memory_info().rss)
        done += piece.shape[1]
        energies.append(np.square(piece, dtype=np.float64).mean(axis=0))
    assert done == SECONDS * RATE
    assert peak - before < 1.5 * 2**30
    levels_db = 10 * np.log10(np.concatenate(energies).reshape(-1, RATE // 20).mean(axis=1))
    plan = plan_sections(SECONDS * RATE, RATE, restorer.codec, 2)
    joins = [round((one.keep_first + sections.JOIN_SECONDS * RATE / 2) / (RATE // 20)) for one in plan[1:]]
    around = np.concatenate([levels_db[join - 2 : join + 3] for join in joins])
    assert len(joins) >= 9
    assert abs(around.mean() - levels_db.mean()) < 3 * levels_db.std() / np.sqrt(len(around))
    assert around.max() <= levels_db.max()
    assert around.min() >= levels_db.min()
