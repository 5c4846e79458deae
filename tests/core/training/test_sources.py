"""Every source of the flow, from the option to a restored recording."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.data.dataset import LatentDataset, collate
from audiobuff_core.data.snapshot import Snapshot
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.models.model import ModelConfig, RestorationModel
from audiobuff_core.models.schema import read_checkpoint
from audiobuff_core.training.cli import main
from audiobuff_core.training.config import config_for
from audiobuff_core.training.draws import Draws, draw
from audiobuff_core.training.objective import batch_error, step_loss

TONE = Waveform(0.2 * np.sin(np.arange(20_000) / 9)[None].astype(np.float32), 44_100)


@pytest.mark.parametrize("source", ["noise", "damaged", "uncertainty"])
def test_each_source_trains_is_saved_and_restores(snapshot: Snapshot, tmp_path: Path, source: str) -> None:
    options = ["--source", source, "--max_steps", "20", "--batch_size", "4", "--ratio_weight", "0.1"]
    command = ["--snapshot", snapshot.path, "--checkpoint_dir", str(tmp_path), "--profile", "test", *options]
    assert main(command) == 0
    rows = [json.loads(line) for line in (tmp_path / "training_log.jsonl").read_text().splitlines()]
    validations = [row for row in rows if "val_loss" in row]
    measure = "val_surprise" if source == "uncertainty" else "val_loss"
    assert len(validations) > 1
    assert validations[-1][measure] < validations[0][measure]
    restorer = Restorer.load(str(tmp_path))
    assert restorer.meta["source"] == source
    assert restorer.model.config.predicts_scale == (source == "uncertainty")
    if source == "noise":
        assert np.isfinite(restorer.restore(TONE, steps=2).samples).all()
        with pytest.raises(InvalidConfig, match="starts at noise alone"):
            restorer.restore(TONE, tau=0.7)
        return
    quiet, invented = (restorer.restore(TONE, steps=2, tau=tau).samples for tau in (0.0, 0.7))
    assert np.isfinite(invented).all()
    assert not np.array_equal(quiet, invented)


def test_another_source_brings_the_options_that_suit_it() -> None:
    assert config_for("demo", {"source": "damaged"}) == config_for("demo", {})
    config = config_for("demo", {"source": "uncertainty", "tau_max": 0.6})
    assert (config.tau_max, config.p_tau, config.start_share) == (0.6, 1.0, 0.5)
    assert config_for("demo", {"source": "noise"}).start_share == 0.0


@pytest.fixture(scope="module")
def network(snapshot: Snapshot) -> RestorationModel:
    dataset = LatentDataset(snapshot, "train", segment_frames=32)
    torch.manual_seed(0)
    config = ModelConfig(
        latent_dim=dataset.codec.latent_dim,
        structure_dim=dataset.encoders["structure"].feature_dim,
        semantic_dim=dataset.encoders["semantic"].feature_dim,
        d_model=32, n_heads=2, depth=1, hidden_dim=32, predicts_scale=True,
    )  # fmt: skip
    return RestorationModel(config)


def test_estimates_and_flow_share_a_batch(snapshot: Snapshot, network: RestorationModel) -> None:
    """Where t = tau = 0 the network is told the damaged latent and asked for the clean one; elsewhere it flows."""
    config = config_for("test", {"source": "uncertainty", "batch_size": 4})
    dataset = LatentDataset(snapshot, "train", segment_frames=32)
    batch = collate([dataset.segment(slot, 5, slot) for slot in range(4)])
    noise = torch.randn(batch.clean.shape, generator=torch.Generator().manual_seed(1))
    t, tau = torch.tensor([0.0, 0.0, 0.5, 1.0]), torch.tensor([0.0, 0.8, 0.8, 0.3])
    draws = Draws(noise, t, tau, torch.zeros(4, 2, dtype=torch.bool))
    error = batch_error(network, config, batch, draws, dataset.standardisers["target"])
    # An untrained network gives the damaged latent with scale 1, so every source is known.
    per_frame = (batch.clean - batch.damaged).square().mean(dim=-1)
    expected = (batch.clean - batch.damaged - tau[:, None, None] * noise).square().mean(dim=-1).sum(dim=1)
    assert torch.allclose(error.squared, expected, rtol=1e-4)
    assert torch.allclose(error.surprise, torch.tensor([0.5 * float(per_frame[0].sum()), 0.0, 0.0, 0.0]), rtol=1e-4)


def test_the_likelihood_moves_the_scale_and_not_the_mean(snapshot: Snapshot, network: RestorationModel) -> None:
    config = config_for("test", {"source": "uncertainty"})
    dataset = LatentDataset(snapshot, "train", segment_frames=32)
    batch = collate([dataset.segment(slot, 5, slot) for slot in range(2)])
    zeros = torch.zeros(2)
    draws = Draws(torch.zeros_like(batch.clean), zeros, zeros, torch.zeros(2, 2, dtype=torch.bool))

    def head_gradient(weight: float) -> torch.Tensor:
        network.zero_grad()
        error = batch_error(network, config, batch, draws, dataset.standardisers["target"])
        (weight * error.surprise.sum() + (1 - weight) * error.squared.sum()).backward()
        return network.vfn.head.fields.bias.grad.clone()

    velocity_part = slice(0, 4 * network.config.latent_dim)
    assert not head_gradient(1.0)[velocity_part].any()
    assert head_gradient(1.0)[velocity_part.stop :].any()
    assert not head_gradient(0.0)[velocity_part.stop :].any()


class _TinyBatch:
    clean = torch.zeros(4000, 1, 1)


def test_streams_are_dropped_together_and_each_alone() -> None:
    config = config_for("test", {"p_uncond": 0.2, "p_drop_stream": 0.1})
    structure, semantic = draw(config, range(4000), _TinyBatch()).drop.T  # type: ignore[arg-type]
    share = 0.2 + 0.8 * 0.1
    assert float(structure.float().mean()) == pytest.approx(share, abs=0.02)
    assert float(semantic.float().mean()) == pytest.approx(share, abs=0.02)
    assert float((structure & semantic).float().mean()) == pytest.approx(0.2 + 0.8 * 0.01, abs=0.02)


def test_uncertainty_draws_estimates_and_noisy_starts() -> None:
    config = config_for("test", {"source": "uncertainty"})
    draws = draw(config, range(4000), _TinyBatch())  # type: ignore[arg-type]
    at_start = draws.t == 0
    assert float(at_start.float().mean()) == pytest.approx(config.start_share, abs=0.03)
    assert float((draws.tau[at_start] == 0).float().mean()) == pytest.approx(0.8, abs=0.03)
    assert bool((draws.tau[~at_start] > 0).all())


def test_the_step_loss_weighs_the_likelihood_by_frames(snapshot: Snapshot, network: RestorationModel) -> None:
    config = config_for("test", {"source": "uncertainty", "scale_weight": 0.25})
    dataset = LatentDataset(snapshot, "train", segment_frames=32)
    batch = collate([dataset.segment(0, 5, 0)])
    zero = torch.zeros(1)
    draws = Draws(torch.zeros_like(batch.clean), zero, zero, torch.zeros(1, 2, dtype=torch.bool))
    error = batch_error(network, config, batch, draws, dataset.standardisers["target"])
    loss = step_loss(error, config, total_frames=64.0, total_items=1.0)
    assert torch.isclose(loss, (error.squared + 0.25 * error.surprise).sum() / 64)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_ranks_estimate_and_flow_as_one_does(snapshot: Snapshot, tmp_path: Path) -> None:
    """Two passes before one exchange, the second computed again: still the gradients of one rank."""
    options = ["--source", "uncertainty", "--gradient_checkpointing", "--max_steps", "5", "--profile", "test"]
    for nproc, batch in ((1, "4"), (2, "2")):
        command = [
            sys.executable, "-m", "torch.distributed.run", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0",
            f"--nproc_per_node={nproc}", "-m", "audiobuff_core.training", "--snapshot", snapshot.path,
            "--checkpoint_dir", str(tmp_path / str(nproc)), "--batch_size", batch, *options,
        ]  # fmt: skip
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=400, check=False)
        assert ran.returncode == 0, ran.stderr
    one, two = (read_checkpoint(str(tmp_path / name / "checkpoint_best.pt"))["model_state"] for name in ("1", "2"))
    for name, tensor in one.items():
        assert torch.allclose(tensor, two[name], atol=1e-4), name
