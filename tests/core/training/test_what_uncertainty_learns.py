"""The source `uncertainty` on latents whose every answer is known: intact channels, and channels that are lost."""

import pytest
import torch

from audiobuff_core.data.dataset import Batch, Stretch
from audiobuff_core.inference.trajectory import flow_to_data
from audiobuff_core.inference.windows import Conditions, WindowedField
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.model import ModelConfig, RestorationModel, Standardiser, parameter_groups
from audiobuff_core.training.config import config_for
from audiobuff_core.training.draws import draw
from audiobuff_core.training.objective import batch_error, step_loss

BATCH, FRAMES, DIM, STEPS = 64, 4, 4, 400
INTACT, LOST = slice(0, 2), slice(2, 4)


def _batch(seed: int) -> Batch:
    """Lost channels were +1 or -1 through the whole item, and the damage tells nothing of which."""
    generator = torch.Generator().manual_seed(seed)
    damaged = torch.randn(BATCH, FRAMES, DIM, generator=generator)
    damaged[..., LOST] = 0
    clean = damaged.clone()
    clean[..., LOST] = torch.randint(0, 2, (BATCH, 1, 2), generator=generator) * 2.0 - 1
    times = (torch.arange(FRAMES, dtype=torch.float64) / 86).expand(BATCH, -1)
    nothing = SideStream(
        torch.zeros(BATCH, 1, 2),
        torch.zeros(BATCH, 1, dtype=torch.float64),
        torch.ones(BATCH, 1, dtype=torch.bool),
        torch.zeros(BATCH, dtype=torch.bool),
    )
    return Batch(clean, damaged, times, torch.ones(BATCH, FRAMES, dtype=torch.bool), nothing, nothing)


def _trained() -> RestorationModel:
    config = config_for("test", {"source": "uncertainty", "scale_weight": 1.0, "p_uncond": 0.0, "p_drop_stream": 0.0})
    torch.manual_seed(0)
    sizes = ModelConfig(
        latent_dim=DIM, structure_dim=2, semantic_dim=2, d_model=32, n_heads=2, depth=1, hidden_dim=32,
        kernel_frames=1, predicts_scale=True,
    )  # fmt: skip
    model, plain = RestorationModel(sizes), Standardiser(torch.zeros(DIM), torch.ones(DIM))
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.0))
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * (1 - step / STEPS) + 1e-4
        batch = _batch(step)
        error = batch_error(model, config, batch, draw(config, range(step * BATCH, (step + 1) * BATCH), batch), plain)
        optimizer.zero_grad()
        step_loss(error, config, total_frames=BATCH * FRAMES, total_items=BATCH).backward()
        optimizer.step()
    return model.eval()


@pytest.mark.slow
def test_it_keeps_what_is_intact_and_invents_what_is_lost() -> None:
    model, batch = _trained(), _batch(9999)

    def field(tau: float) -> WindowedField:
        silent = Stretch(torch.zeros(1, 2), torch.zeros(1, dtype=torch.float64))
        conditions = Conditions(batch.damaged, 86.0, silent, silent, tau=tau)
        return WindowedField(
            model, conditions, window_frames=FRAMES, overlap_frames=1, precision="fp32", device=torch.device("cpu")
        )

    mean, scale = field(0.0).estimate()
    # The best estimate of +1 or -1 is 0, and its standard deviation 1; what is intact is certain.
    assert float(mean[..., LOST].abs().mean()) < 0.05
    assert float(scale[..., LOST].mean()) == pytest.approx(1.0, abs=0.05)
    assert torch.allclose(mean[..., INTACT], batch.damaged[..., INTACT], atol=1e-2)
    assert float(scale[..., INTACT].mean()) < 0.02
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(5))
    assert torch.equal(flow_to_data(field(0.0), "uncertainty", noise, steps=16), mean)
    for tau in (0.5, 1.0):
        restored = flow_to_data(field(tau), "uncertainty", noise, steps=16)
        assert float((restored - batch.damaged)[..., INTACT].abs().mean()) < 0.02
        lost = restored[..., LOST]
        # One of the two answers, not their mean; both of them come.
        assert float((lost.abs() - 1).abs().mean()) < 0.15
        assert 0.35 < float((lost > 0).float().mean()) < 0.65
