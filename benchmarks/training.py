"""What a training step costs, in ratios of one run, both sides in turn.

Our block against the original's, bf16 against fp32 (and what bf16 gives to a bare matrix product here, which a step
can't exceed), waiting for data, two processes against one, and how memory grows with length.
`uv run python benchmarks/training.py` takes about five minutes on two quiet cores and 15 GiB; `--depth 2` needs 4 GiB.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from audiobuff_core.data.dataset import Batch
from audiobuff_core.files import write_json
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.legacy import LegacyConfig
from audiobuff_core.models.legacy_field import LegacyField
from audiobuff_core.models.model import ModelConfig, RestorationModel, Standardiser
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.distributed import Ranks, joined_ranks
from audiobuff_core.training.draws import draw
from audiobuff_core.training.ema import ExponentialAverage
from audiobuff_core.training.feed import Microbatches
from audiobuff_core.training.network import Network
from audiobuff_core.training.optimizer import make_optimizer
from audiobuff_core.training.state import Position, TrainingState
from audiobuff_core.training.step import TrainingStep

# The original's sizes; its streams at the rates of DAC 44.1 kHz, X-Codec and AudioMAE.
RATES = {"target": 44_100 / 512, "structure": 50.0, "semantic": 6.25}
WIDTHS = {"target": 1024, "structure": 1024, "semantic": 768}
RANK_STEPS = 4
MEMORY_FRAMES = (256, 1024, 4096)
PRODUCT_TYPES = (torch.float32, torch.bfloat16)


def batch_of(num_items: int, num_frames: int, widths: dict[str, int]) -> Batch:
    """Standard normal latents and features."""
    generator = torch.Generator().manual_seed(0)

    def stream(name: str) -> SideStream:
        count = round(num_frames / RATES["target"] * RATES[name])
        values = torch.randn(num_items, count, widths[name], generator=generator)
        return SideStream(values, clock(name, count), torch.ones(num_items, count, dtype=torch.bool), nothing)

    def clock(name: str, count: int) -> torch.Tensor:
        return (torch.arange(count, dtype=torch.float64) / RATES[name]).expand(num_items, -1)

    nothing = torch.zeros(num_items, dtype=torch.bool)
    clean, damaged = torch.randn(2, num_items, num_frames, widths["target"], generator=generator)
    valid = torch.ones(num_items, num_frames, dtype=torch.bool)
    return Batch(clean, damaged, clock("target", num_frames), valid, stream("structure"), stream("semantic"))


def stepper(
    network: Network, config: TrainingConfig, ranks: Ranks, optimizer: torch.optim.Optimizer | None = None
) -> TrainingStep:
    """A training step of `network` as the trainer takes it, but for the average, which costs all sides the same."""
    width = getattr(network.config, "latent_dim", None) or network.config.in_channels
    average = ExponentialAverage(torch.nn.Linear(1, 1), decay=0.0)
    average.update = lambda model: None  # type: ignore[method-assign]
    state = TrainingState(
        model=network,
        ema=average,
        optimizer=optimizer or make_optimizer(network, config),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        position=Position(),
        standardisers={"target": Standardiser(torch.zeros(width), torch.ones(width))},
        facts={},
    )
    return TrainingStep(config, state, ranks)


def step_of(
    network: Network, config: TrainingConfig, optimizer: torch.optim.Optimizer | None = None
) -> Callable[[], None]:
    """One step on the same batch of 256 frames, to be called again and again."""
    batch = batch_of(config.batch_size, 256, WIDTHS)
    microbatches: Microbatches = [(batch, draw(config, range(config.batch_size), batch))]
    taken = stepper(network, config, Ranks(0, 1, torch.device("cpu")), optimizer)

    def take() -> None:
        taken.take(microbatches, 1e-4)

    return take


def timed(sides: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[dict[str, float]]]:
    """Wall and process seconds of every side, taken in turn after one round that does not count."""
    times: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for turn in range(repeats + 1):
        for name, side in sides.items():
            wall, process = time.perf_counter(), time.process_time()
            side()
            if turn:
                taken = {"wall": time.perf_counter() - wall, "process": time.process_time() - process}
                times[name].append(taken)
    return times


def ratio(times: dict[str, list[dict[str, float]]], over: str, under: str, clock: str = "wall") -> float:
    """The median over turns of one side's time over another's."""
    pairs = zip(times[over], times[under], strict=True)
    return statistics.median(one[clock] / two[clock] for one, two in pairs)


def product_costs(repeats: int) -> float:
    """A bare matrix product of the block's sizes in bf16 over fp32: what the hardware gives to the whole step."""
    rows = 4 * 256
    pairs = {dtype: (torch.randn(rows, 1024).to(dtype), torch.randn(1024, 5632).to(dtype)) for dtype in PRODUCT_TYPES}
    sides = {str(dtype): lambda pair=pair: [pair[0] @ pair[1] for _ in range(8)] for dtype, pair in pairs.items()}
    return ratio(timed(sides, repeats), str(torch.bfloat16), str(torch.float32))


def block_costs(depth: int, repeats: int) -> dict[str, Any]:
    """Our step against the original's, and in bf16 against fp32."""
    sizes = {"d_model": 1024, "n_heads": 16, "depth": depth}
    shared: dict[str, Any] = {"batch_size": 4, "grad_accum_steps": 1, "p_uncond": 0.0, "p_drop_stream": 0.0, **sizes}
    original = LegacyField(LegacyConfig(in_channels=1024, xcodec_dim=1024, mae_dim=768, **sizes))
    ours = RestorationModel(ModelConfig(latent_dim=1024, structure_dim=1024, semantic_dim=768, **sizes))
    full = TrainingConfig(precision="fp32", **shared)
    legacy = TrainingConfig(precision="fp32", architecture="lcfm-dit-v0", source="noise", **shared)
    optimizer = make_optimizer(ours, full)  # one for both precisions: the moments are large
    sides = {
        "original": step_of(original, legacy),
        "ours": step_of(ours, full, optimizer),
    }
    capabilities = torch.cpu.get_capabilities()
    in_hardware = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    if in_hardware or depth == 1:
        sides["ours in bf16"] = step_of(ours, TrainingConfig(precision="bf16", **shared), optimizer)
    times = timed(sides, repeats)
    # Where bf16 is emulated it takes several times as long: one block says so soon enough.
    bf16 = ratio(times, "ours in bf16", "ours") if len(sides) == 3 else block_costs(1, 1)["bf16_over_fp32"]
    return {
        "parameters": {"original": original.num_parameters(), "ours": ours.num_parameters()},
        "seconds": {name: statistics.median(taken["wall"] for taken in side) for name, side in times.items()},
        "ours_over_original": ratio(times, "ours", "original"),
        "ours_over_original_process_time": ratio(times, "ours", "original", "process"),
        "bf16_over_fp32": bf16,
        "products_bf16_over_fp32": product_costs(3 * repeats),
        "bf16_in_hardware": in_hardware,
    }


def waiting_share(folder: Path) -> float:
    """The share of a training's time that it waits for data: the demo's small network, the hardest case."""
    corpus = Path(__file__).parents[1] / "audiobuff_assets" / "corpus"
    encoders = ["--codec", "builtin", "--structure", "builtin", "--semantic", "builtin"]
    prepare = ["--source_dir", str(corpus), "--out_dir", str(folder / "latents"), "--max_files", "16", *encoders]
    train = ["--data_dir", str(folder / "latents"), "--checkpoint_dir", str(folder / "run"), "--profile", "demo"]
    more = ["--max_steps", "25", "--save_every_epochs", "1000", "--segment_frames", "128"]
    module = [sys.executable, "-m"]
    subprocess.run([*module, "audiobuff_core.data.prepare_latents", *prepare], check=True, capture_output=True)
    subprocess.run([*module, "audiobuff_core.training", *train, *more], check=True, capture_output=True)
    timing = json.loads((folder / "run" / "timing.json").read_text())
    return timing["waited_seconds"] / timing["seconds"]


def rank_seconds(num_processes: int) -> float:
    """Seconds a step of `num_processes` gloo ranks of one thread, each with a batch of its own."""
    place = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", f"--nproc_per_node={num_processes}"]
    command = [sys.executable, "-m", "torch.distributed.run", *place, __file__, "--as_rank"]
    said = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return float(said.stdout.split()[-1])


def as_rank() -> None:
    """What each rank of `rank_seconds` does; the first prints."""
    config = TrainingConfig(precision="fp32", batch_size=4, d_model=512, n_heads=8, depth=4, hidden_dim=1408)
    torch.manual_seed(0)
    sizes = {"d_model": 512, "n_heads": 8, "depth": 4, "hidden_dim": 1408}
    network = RestorationModel(ModelConfig(latent_dim=1024, structure_dim=1024, semantic_dim=768, **sizes))
    with joined_ranks("cpu") as ranks:
        batch = batch_of(4, 256, WIDTHS)
        microbatches: Microbatches = [(batch, draw(config, range(4), batch))]
        step = stepper(network, config, ranks)
        step.take(microbatches, 1e-4)
        step.take(microbatches, 1e-4)  # DDP arranges its buckets after the first
        ranks.wait()
        begin = time.perf_counter()
        for _ in range(RANK_STEPS):
            step.take(microbatches, 1e-4)
        ranks.wait()
        if ranks.is_first:
            print((time.perf_counter() - begin) / RANK_STEPS)


def scaling(repeats: int) -> dict[str, float]:
    """The throughput of two ranks of one thread as a share of twice that of one."""
    turns = [(rank_seconds(1), rank_seconds(2)) for _ in range(repeats)]
    return {"share_of_twice": statistics.median(one / two for one, two in turns)}


def as_memory(num_frames: int) -> None:
    """Print the bytes that a forward and backward pass over `num_frames` frames adds at its peak."""
    sizes = {"d_model": 256, "n_heads": 4, "depth": 4, "hidden_dim": 704}
    config = TrainingConfig(precision="fp32", batch_size=1, **sizes)
    network = RestorationModel(ModelConfig(latent_dim=72, structure_dim=1024, semantic_dim=768, **sizes))
    widths = WIDTHS | {"target": 72}
    taken = stepper(network, config, Ranks(0, 1, torch.device("cpu")))
    for frames in (16, num_frames):
        batch = batch_of(1, frames, widths)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        taken.backward([(batch, draw(config, range(1), batch))], total_frames=frames, total_items=1)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)


def memory() -> dict[str, Any]:
    """Peak memory of a forward and backward pass by length, and how its growth compares with a straight line."""
    added = {}
    for num_frames in MEMORY_FRAMES:
        command = [sys.executable, __file__, "--as_memory", str(num_frames)]
        said = subprocess.run(command, check=True, capture_output=True, text=True)
        added[num_frames] = int(said.stdout.split()[-1])
    short, middle, long = (added[num_frames] for num_frames in MEMORY_FRAMES)
    return {"bytes": added, "growth_over_linear": (long - middle) / (4 * (middle - short))}


def main() -> None:
    """Measure, print, write."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--depth", type=int, default=12, help="blocks of the big networks (default: %(default)s)")
    made.add_argument("--repeats", type=int, default=3, help="turns that count (default: %(default)s)")
    made.add_argument("--out", type=Path, default=Path("benchmarks/training.json"))
    made.add_argument("--as_rank", action="store_true", help=argparse.SUPPRESS)
    made.add_argument("--as_memory", type=int, help=argparse.SUPPRESS)
    arguments = made.parse_args()
    if arguments.as_rank:
        return as_rank()
    if arguments.as_memory:
        return as_memory(arguments.as_memory)
    found: dict[str, Any] = {"depth": arguments.depth, "threads": torch.get_num_threads()}
    with tempfile.TemporaryDirectory() as folder:
        found["waiting_share"] = waiting_share(Path(folder))
    print(f"waiting for data         {found['waiting_share']:.4f} of the time (goal: < 0.02)", flush=True)
    found["memory"] = memory()
    print(f"memory, 256 to 4096      {found['memory']['growth_over_linear']:.2f} of linear growth", flush=True)
    found["two_processes"] = scaling(2)
    print(f"two processes            {found['two_processes']['share_of_twice']:.2f} of twice one (goal: >= 0.85)")
    found["step"] = block_costs(arguments.depth, arguments.repeats)
    print(f"our step, fp32           {found['step']['ours_over_original']:.3f} of the original's (goal: <= 0.95)")
    products = found["step"]["products_bf16_over_fp32"]
    print(f"our step, bf16           {found['step']['bf16_over_fp32']:.3f} of fp32 (goal: <= 0.5)")
    print(f"bare products, bf16      {products:.3f} of fp32: what this machine's hardware gives")
    write_json(arguments.out, json.loads(json.dumps(found)))


if __name__ == "__main__":
    main()
