"""How fast a model restores: against the original's loop, by solver steps, by length, and in how much memory.

    uv run python benchmarks/inference.py

The original's loop solves chunks of 256 latent frames every 128 by themselves, in single precision, with and without
conditions in two passes; ours solves the whole track in windows that share a quarter, both branches in one pass. Both
see the same network, latents and number of steps, one after the other in one process; the ratio is of their medians.
The network is the one in the box, or that of --model; with --d_model an untrained one of that size: speed does not
depend on weights. Mono, guidance 1 (but for the comparison, which needs both branches), bf16 where the machine has it.
"""

import argparse
import itertools
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.registry import EncoderChoice, load_codec, load_feature_encoder
from audiobuff_core.commands.chosen_model import chosen_model
from audiobuff_core.files import write_json
from audiobuff_core.flow.guidance import ALL_HIDDEN, ALL_SHOWN
from audiobuff_core.flow.solver import time_grid
from audiobuff_core.inference.opened import OpenedModel
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.inference.windows import Conditions, WindowedField
from audiobuff_core.models.model import ModelConfig, RestorationModel, Standardiser
from audiobuff_core.models.precision import Precision, resolve_precision

STEPS, LENGTHS = (4, 8, 16, 32), (1, 2, 4)
CHUNK_TOKENS, HOP_TOKENS, CFG = 256, 128, 1.5


def untrained(d_model: int, depth: int) -> OpenedModel:
    """A network of that size on the built-in encoders."""
    codec = load_codec("builtin")
    encoders = {name: load_feature_encoder(name, "builtin") for name in ("structure", "semantic")}
    dims = {"target": codec.latent_dim, **{name: encoder.feature_dim for name, encoder in encoders.items()}}
    config = ModelConfig(
        latent_dim=dims["target"], structure_dim=dims["structure"], semantic_dim=dims["semantic"],
        d_model=d_model, n_heads=max(1, d_model // 64), depth=depth, hidden_dim=d_model * 11 // 4,
    )  # fmt: skip
    identities = {"target": codec.identity, **{name: encoder.identity for name, encoder in encoders.items()}}
    meta = {
        "profile": "untrained", "seed": 0, "snapshot_digest": None, "source": "damaged",
        "encoders": EncoderChoice().as_dict(),
        "identities": {name: identity.as_dict() for name, identity in identities.items()},
        "inference": {"steps": 16, "tau": 0.0, "window_frames": CHUNK_TOKENS},
    }  # fmt: skip
    standardisers = {name: Standardiser(torch.zeros(dim), torch.ones(dim)) for name, dim in dims.items()}
    return OpenedModel(RestorationModel(config).eval(), standardisers, meta, "0" * 64)


def recording(seconds: float) -> Waveform:
    """Noise: its content does not matter either."""
    samples = 0.1 * np.random.default_rng(0).standard_normal((1, round(seconds * 44_100)))
    return Waveform(samples.astype(np.float32), 44_100)


def originals_loop(restorer: Restorer, conditions: Conditions, steps: int) -> torch.Tensor:
    """Each chunk from its own noise to its end, then an overlap-add."""
    damaged = conditions.damaged
    num_frames = damaged.shape[1]
    total, weight = torch.zeros_like(damaged), torch.zeros(num_frames, 1)
    grid = time_grid(steps)
    for first in range(0, num_frames, HOP_TOKENS):
        last = min(num_frames, first + CHUNK_TOKENS)
        part = Conditions(
            damaged[:, first:last], conditions.frame_rate, conditions.structure, conditions.semantic, conditions.tau
        )
        field = _field(restorer, part, 0, "fp32")
        x = torch.randn(part.damaged.shape)
        for now, then in itertools.pairwise(grid):
            t = torch.full((len(x),), float(now))
            shown, null = field(x, t, (ALL_SHOWN,)), field(x, t, (ALL_HIDDEN,))
            x = x + float(then - now) * (null + CFG * (shown - null))
        total[:, first:last] += x
        weight[first:last] += 1
        if last == num_frames:
            break
    return total / weight


def _field(restorer: Restorer, conditions: Conditions, overlap: int, precision: Precision) -> WindowedField:
    return WindowedField(
        restorer.model, conditions, window_frames=CHUNK_TOKENS, overlap_frames=overlap, precision=precision,
        device=restorer.device,
    )  # fmt: skip


def against_the_original(restorer: Restorer, seconds: float, steps: int, repeats: int) -> dict[str, float]:
    """Both loops on the same latents, in turn."""
    from audiobuff_core.flow.guidance import Guidance
    from audiobuff_core.inference.trajectory import flow_to_data

    waveform = recording(seconds)
    conditions = restorer._conditions(waveform, restorer.codec.encode(waveform), 0.0)
    noise = torch.randn(conditions.damaged.shape)

    def ours() -> None:
        field = _field(restorer, conditions, CHUNK_TOKENS // 4, restorer.precision)
        flow_to_data(field, "damaged", noise, steps=steps, guidance=Guidance(scale=CFG))

    loops = {"original": lambda: originals_loop(restorer, conditions, steps), "ours": ours}
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(repeats):
        for name, loop in loops.items():
            times[name].append(seconds_of(loop))
    medians = {name: statistics.median(each) for name, each in times.items()}
    return {**medians, "ratio": medians["original"] / medians["ours"]}


def peak_mib_of(work: Callable[[], Any]) -> float:
    """Resident memory at its highest while `work` runs, in MiB."""
    process, over = psutil.Process(), threading.Event()
    highest = [process.memory_info().rss]

    def watch() -> None:
        while not over.wait(0.02):
            highest.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        over.set()
        watcher.join()
    return max(highest) / 2**20


def seconds_of(work: Callable[[], Any]) -> float:
    """Wall time of `work`."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="export folder or checkpoint (default: the model in the box)")
    parser.add_argument("--d_model", type=int, help="an untrained network of this width instead")
    parser.add_argument("--depth", type=int, default=6, help="... and of this many blocks (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=12.0, help="of audio (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/inference.json"))
    told = parser.parse_args()
    if told.d_model:
        restorer = Restorer(untrained(told.d_model, told.depth))
    else:
        restorer = Restorer.load(chosen_model(told.model, lambda: None))
    restorer.precision = told.precision
    clip = recording(told.seconds)
    with_model = psutil.Process().memory_info().rss / 2**20
    restorer.restore(clip, steps=1)  # warm
    loops = against_the_original(restorer, told.seconds, 4, told.repeats)
    by_steps, memory = {}, {}
    for steps in STEPS:
        cost = min(seconds_of(lambda steps=steps: restorer.restore(clip, steps=steps)) for _ in range(told.repeats))
        by_steps[str(steps)] = clip.duration_seconds / cost
        memory[str(steps)] = peak_mib_of(lambda steps=steps: restorer.restore(clip, steps=steps)) - with_model
    clips = {length: recording(length * told.seconds) for length in LENGTHS}
    costs: dict[int, list[float]] = {length: [] for length in LENGTHS}
    for _ in range(told.repeats):
        for length, longer in clips.items():
            costs[length].append(seconds_of(lambda longer=longer: restorer.restore(longer, steps=2)) / length)
    medians = {length: statistics.median(each) for length, each in costs.items()}
    growth = {str(length): cost / medians[1] for length, cost in medians.items()}
    precision = resolve_precision(restorer.precision, restorer.device)
    print(f"{restorer.identity['parameters']:,} parameters, {precision}, {torch.get_num_threads()} threads")
    print(f"against the original's loop: {loops['ratio']:.2f} times as fast (wanted: 1.5)")
    for steps, factor in by_steps.items():
        print(f"{steps:>3} steps: {factor:6.2f} x real time, {memory[steps]:.0f} MiB beyond the model{_wanted(steps)}")
    for length, ratio in growth.items():
        print(f"{length:>3} x {told.seconds:g} s: {ratio:5.2f} of the cost a second")
    facts = {"precision": precision, "threads": torch.get_num_threads(), "model": restorer.identity}
    results = {"against_original": loops, "real_time_factor": by_steps, "peak_mib": memory, "cost_a_second": growth}
    write_json(told.out, facts | results)


def _wanted(steps: str) -> str:
    """What the model in the box is to reach."""
    return {"4": " (wanted: 10 x)", "16": " (wanted: 4 x)"}.get(steps, "")


if __name__ == "__main__":
    main()
