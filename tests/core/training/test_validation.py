import pytest
import torch

from audiobuff_core.data.dataset import LatentDataset
from audiobuff_core.data.snapshot import Snapshot
from audiobuff_core.models.model import ModelConfig, RestorationModel
from audiobuff_core.training.config import config_for
from audiobuff_core.training.validation import FixedValidation

CPU = torch.device("cpu")


def _validation(snapshot: Snapshot, source: str, **options: object) -> FixedValidation:
    config = config_for("test", {"source": source, "batch_size": 4, **options})
    return FixedValidation(LatentDataset(snapshot, "validation", segment_frames=32), config, CPU)


def _network(snapshot: Snapshot, predicts_scale: bool) -> RestorationModel:
    dims = {stream: len(mean) for stream, (mean, _) in snapshot.statistics.items()}
    torch.manual_seed(0)
    config = ModelConfig(
        latent_dim=dims["target"], structure_dim=dims["structure"], semantic_dim=dims["semantic"],
        d_model=32, n_heads=2, depth=1, hidden_dim=32, predicts_scale=predicts_scale,
    )  # fmt: skip
    return RestorationModel(config)


def test_validation_says_the_same_of_the_same_network(snapshot: Snapshot) -> None:
    network = _network(snapshot, predicts_scale=False)
    one, other = (_validation(snapshot, "damaged").measures(network) for _ in range(2))
    assert one == other
    assert one["val_loss"] > 0


def test_ranges_of_times_are_the_loss_apart(snapshot: Snapshot) -> None:
    """An untrained network says 0, so each loss is the mean squared velocity of the items in its range."""
    validation = _validation(snapshot, "noise", start_share=0.3)
    found = validation.measures(_network(snapshot, predicts_scale=False))
    t = torch.cat([draws.t for _, draws in validation.parts])
    per_item, frames = [], []
    for batch, draws in validation.parts:
        per_frame = (batch.clean - draws.noise).square().mean(dim=-1) * batch.valid
        per_item.append(per_frame.sum(dim=1))
        frames.append(batch.valid.sum(dim=1))
    squared, counts = torch.cat(per_item), torch.cat(frames)
    expected = {"val_loss": squared.sum() / counts.sum()}
    for name, chosen in (
        ("t=0", t == 0),
        ("t<0.25", (t > 0) & (t <= 0.25)),
        ("t<0.5", (t > 0.25) & (t <= 0.5)),
        ("t<0.75", (t > 0.5) & (t <= 0.75)),
        ("t<1", t > 0.75),
    ):
        if chosen.any():
            expected[f"val_loss/{name}"] = squared[chosen].sum() / counts[chosen].sum()
    assert set(found) == set(expected)
    assert len(found) > 2
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), rel=1e-4), name


def test_a_network_that_is_unsure_is_judged_by_its_likelihood_too(snapshot: Snapshot) -> None:
    validation = _validation(snapshot, "uncertainty")
    found = validation.measures(_network(snapshot, predicts_scale=True))
    # Untrained, it gives the damaged latent with scale 1: half the squared error.
    squared = frames = 0.0
    for batch, draws in validation.parts:
        estimates = (draws.t == 0) & (draws.tau == 0)
        per_frame = (batch.clean - batch.damaged).square().mean(dim=-1) * batch.valid
        squared += float(per_frame[estimates].sum())
        frames += float(batch.valid[estimates].sum())
    assert found["val_surprise"] == pytest.approx(0.5 * squared / frames, rel=1e-4)
