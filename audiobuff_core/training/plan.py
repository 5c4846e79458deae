"""What a run would do, without doing it: `--dry_run`."""

from dataclasses import replace

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from audiobuff_core.data.dataset import LatentDataset, collate
from audiobuff_core.data.snapshot import load_snapshot
from audiobuff_core.models.legacy_field import LegacyField
from audiobuff_core.precision import Precision, autocast, resolve_precision
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.draws import draw
from audiobuff_core.training.network import Network, make_network
from audiobuff_core.training.objective import batch_error, step_loss

# Weights, their gradients, their average, and two moments: float32 each.
BYTES_PER_PARAMETER = 20


def plan_lines(config: TrainingConfig, snapshot_url: str, ranks: Ranks) -> list[str]:
    """Sizes, data, steps and memory of the run, as lines for a person.

    Raises:
        AudioBuffError: whatever would stop the run before its first step.
    """
    snapshot = load_snapshot(snapshot_url)
    dataset = LatentDataset(snapshot, "train", segment_frames=config.segment_frames)
    network = imagined_network(config, dataset.dims)
    samples = config.batch_size * config.grad_accum_steps * ranks.world_size
    steps = -(-config.epochs * len(dataset.slots) // samples)
    steps = steps if config.max_steps is None else min(steps, config.max_steps)
    rate = float(dataset.codec.frame_rate)
    num_validation = sum(item.split == "validation" for item in snapshot.items)
    precision: Precision = config.precision  # type: ignore[assignment]
    weights = BYTES_PER_PARAMETER * network.num_parameters()
    kept, operations = forward_costs(network, config, dataset)
    return [
        f"network      {config.architecture}, {network.num_parameters():,} parameters: width {config.d_model}, depth "
        f"{config.depth}, {config.n_heads} heads, latents of {dataset.dims['target']}",
        f"data         {len(dataset.items)} items to train on, {num_validation} to validate on; {len(dataset.slots)} "
        f"segments an epoch, {config.segment_frames} frames ({config.segment_frames / rate:.2f} s) each",
        f"step         {samples} segments: {_counted(ranks.world_size, 'process')} x {config.grad_accum_steps} x "
        f"{config.batch_size}, {ranks.device}, {resolve_precision(precision, ranks.device)}",
        f"steps        {steps}, an epoch each {len(dataset.slots) / samples:.1f}"
        + (f"; damage drawn anew every {_counted(config.fresh_every, 'epoch')}" if config.fresh_every else ""),
        f"memory       about {_size(weights + kept)} a process: {_size(weights)} for weights, average and moments, "
        f"{_size(kept)} for the backward pass",
        f"arithmetic   about {3e-12 * operations * config.grad_accum_steps:.3g} TFLOP a step and process, a third "
        "of it forward",
        f"checkpoint   about {_size(16 * network.num_parameters())} a file",
    ]


def forward_costs(network: Network, config: TrainingConfig, dataset: LatentDataset) -> tuple[int, int]:
    """Bytes that the forward pass of one micro-batch keeps for the backward pass, and its floating-point operations.

    Counted without computing it. Weights are not among the bytes; in low precision their copies are. With gradient
    checkpointing it is the blocks' inputs and, at any one time, the insides of one block. Operations are those of
    products and convolutions; the backward pass takes twice as many.

    Args:
        network: made of fake tensors, by `imagined_network`.
        config: options.
        dataset: gives the batch its shapes.
    """
    if config.gradient_checkpointing:
        alone = replace(config, depth=1, gradient_checkpointing=False)
        inputs = 4 * config.depth * config.batch_size * config.segment_frames * config.d_model
        one_block, _ = forward_costs(imagined_network(alone, dataset.dims), alone, dataset)
        _, operations = forward_costs(network, replace(config, gradient_checkpointing=False), dataset)
        return inputs + one_block, operations
    counters = list(range(config.batch_size))
    batch = collate([dataset.segment(slot % len(dataset.slots), 0, slot) for slot in counters])
    draws = draw(config, counters, batch)
    seen: dict[int, torch.UntypedStorage] = {}
    own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            seen[storage._cdata] = storage  # alive, or another one could get its address
        return tensor

    precision: Precision = config.precision  # type: ignore[assignment]
    counted = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    counter = FlopCounterMode(display=False)
    with counted, counter, autocast(precision, torch.device("cpu")):
        if isinstance(network, LegacyField):  # it asks how long each item is, which a fake tensor can't say
            network.vfn(batch.clean, draws.t, batch.clean, batch.clean)
        else:
            # The start of `uncertainty` is estimated without a backward pass, for items that fake tensors can't count.
            traced = replace(config, source="damaged") if config.source == "uncertainty" else config
            error = batch_error(network, traced, batch, draws, dataset.standardisers["target"])
            step_loss(error, config, total_frames=1.0, total_items=1.0)
    return sum(storage.nbytes() for storage in seen.values()), counter.get_total_flops()


def imagined_network(config: TrainingConfig, dims: dict[str, int]) -> Network:
    """A network of these sizes whose tensors have shapes but no memory."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        return make_network(config, dims)


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.2f} GiB" if num_bytes >= 2**28 else f"{num_bytes / 2**20:.1f} MiB"


def _counted(count: int, what: str) -> str:
    plural = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{count} {what if count == 1 else plural}"
