"""Windows, branches and estimates of a whole track, on a network small enough to run by hand beside them."""

import pytest
import torch

from audiobuff_core.data.dataset import Stretch, side_stream
from audiobuff_core.flow.guidance import ALL_HIDDEN, ALL_SHOWN, Guidance, GuidedField, Hidden
from audiobuff_core.inference.confidence import doubt_of
from audiobuff_core.inference.trajectory import flow_to_data
from audiobuff_core.inference.windows import Conditions, WindowedField
from audiobuff_core.models.model import ModelConfig, RestorationModel

CPU, RATE_HZ, CHANNELS, DIM = torch.device("cpu"), 86.0, 2, 6


@pytest.fixture(scope="module")
def model() -> RestorationModel:
    torch.manual_seed(0)
    made = RestorationModel(
        ModelConfig(
            latent_dim=DIM,
            structure_dim=3,
            semantic_dim=4,
            d_model=16,
            n_heads=2,
            depth=1,
            hidden_dim=16,
            predicts_scale=True,
        )
    ).eval()
    for parameter in made.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return made


def _conditions(num_frames: int, tau: float = 0.5) -> Conditions:
    generator = torch.Generator().manual_seed(1)

    def stretch(dim: int, rate: float) -> Stretch:
        count = round(num_frames / RATE_HZ * rate) + 1
        return Stretch(torch.randn(count, dim, generator=generator), torch.arange(count, dtype=torch.float64) / rate)

    damaged = torch.randn(CHANNELS, num_frames, DIM, generator=generator)
    return Conditions(damaged, RATE_HZ, stretch(3, 50.0), stretch(4, 6.25), tau)


def _field(model: RestorationModel, conditions: Conditions, window: int = 32) -> WindowedField:
    return WindowedField(model, conditions, window_frames=window, overlap_frames=8, precision="fp32", device=CPU)


def _by_hand(model: RestorationModel, conditions: Conditions, x_t: torch.Tensor, hidden: Hidden) -> torch.Tensor:
    """The velocity of a track of one window."""
    count, num_frames = x_t.shape[:2]
    times = (torch.arange(num_frames, dtype=torch.float64) / RATE_HZ).expand(count, -1)
    sides = []
    for stretch, dropped in ((conditions.structure, hidden.structure), (conditions.semantic, hidden.semantic)):
        stream = side_stream([stretch] * count)
        stream.dropped[:] = dropped
        sides.append(stream)
    valid, tau = torch.ones(count, num_frames, dtype=torch.bool), torch.full((count,), conditions.tau)
    with torch.no_grad():
        return model.velocity(x_t, torch.full((count,), 0.3), tau, conditions.damaged, times, valid, *sides)


def test_each_branch_is_the_network_with_its_streams_hidden(model: RestorationModel) -> None:
    conditions = _conditions(20)
    x_t = torch.randn(CHANNELS, 20, DIM)
    branches = (ALL_SHOWN, ALL_HIDDEN, Hidden(structure=True), Hidden(semantic=True))
    found = _field(model, conditions)(torch.cat([x_t] * 4), torch.full((4 * CHANNELS,), 0.3), branches)
    for part, hidden in zip(found.chunk(4), branches, strict=True):
        assert torch.allclose(part, _by_hand(model, conditions, x_t, hidden), atol=1e-5), hidden
    assert not torch.allclose(found[:CHANNELS], found[CHANNELS : 2 * CHANNELS], atol=1e-3)


def test_guidance_over_windows_is_the_sum_of_its_branches(model: RestorationModel) -> None:
    conditions = _conditions(20)
    x_t, t = torch.randn(CHANNELS, 20, DIM), torch.full((CHANNELS,), 0.3)
    guidance = Guidance(scale=1.5, semantic=2.0)
    expected = sum(share * _by_hand(model, conditions, x_t, hidden) for hidden, share in guidance.weights().items())
    assert torch.allclose(GuidedField(_field(model, conditions), guidance)(x_t, t), expected, atol=1e-5)


def test_a_track_of_many_windows_is_computed_as_its_windows_are(model: RestorationModel) -> None:
    """More pieces than go through the network at once: the batching leaves no trace."""
    conditions = _conditions(400)
    x_t, t = torch.randn(CHANNELS, 400, DIM), torch.full((CHANNELS,), 0.3)
    field = _field(model, conditions)
    assert CHANNELS * len(field.windows) > 16
    both = field(x_t, t)
    for channel in range(CHANNELS):
        alone = Conditions(
            conditions.damaged[channel : channel + 1], RATE_HZ, conditions.structure, conditions.semantic, 0.5
        )
        assert torch.allclose(
            _field(model, alone)(x_t[channel : channel + 1], t[:1]), both[channel : channel + 1], atol=1e-5
        )


def test_the_estimate_is_the_prediction_at_the_damaged_latent(model: RestorationModel) -> None:
    conditions = _conditions(20, tau=0.9)
    mean, scale = _field(model, conditions).estimate()
    still = _conditions(20, tau=0.0)
    velocity = _field(model, still)(still.damaged, torch.zeros(CHANNELS))
    assert torch.allclose(mean, still.damaged + velocity, atol=1e-6)
    assert float(scale.min()) > 0


def test_tau_turns_the_scale_of_what_is_drawn(model: RestorationModel) -> None:
    noise = torch.randn(CHANNELS, 20, DIM)
    mean, _ = _field(model, _conditions(20)).estimate()
    calls: list[int] = []

    def distance(tau: float) -> float:
        field = _field(model, _conditions(20, tau=tau))
        return float((flow_to_data(field, "uncertainty", noise, steps=3, on_step=calls.append) - mean).square().mean())

    assert distance(0.0) == 0.0
    assert calls == []  # the estimate is the answer
    assert 0.0 < distance(0.1) < distance(1.0)
    assert calls == [1, 2, 3, 1, 2, 3]


def test_doubt_is_the_scale_or_what_it_would_have_said_without_side_streams(model: RestorationModel) -> None:
    conditions = _conditions(20, tau=0.5)
    noise, x_1 = torch.randn(CHANNELS, 20, DIM), torch.randn(CHANNELS, 20, DIM)
    field = _field(model, conditions)
    assert torch.equal(doubt_of(field, "uncertainty", noise, x_1), field.estimate()[1])
    x_0 = 0.5 * noise + 0.5 * conditions.damaged
    hidden = _field(model, conditions)(x_0, torch.zeros(CHANNELS), (ALL_HIDDEN,))
    assert torch.allclose(doubt_of(field, "damaged", noise, x_1), (x_1 - (x_0 + hidden)).abs(), atol=1e-6)
