import math

import pytest
import torch

from audiobuff_core.flow.loss import ScaleLaw, error_ratio_log, scale_surprise, squared_error
from audiobuff_core.flow.path import data_estimate, sample_path
from audiobuff_core.flow.source import make_source, uncertain_source
from audiobuff_core.flow.time import draw_times


def test_the_path_begins_at_the_source_and_ends_at_the_data() -> None:
    x_0, x_1 = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    sample = sample_path(x_0, x_1, torch.tensor([0.0, 1.0]))
    assert torch.equal(sample.x_t[0], x_0[0])
    assert torch.equal(sample.x_t[1], x_1[1])
    assert torch.equal(sample.velocity, x_1 - x_0)


def test_the_velocity_is_the_derivative_of_the_path() -> None:
    x_0, x_1 = torch.randn(1, 4, 2, dtype=torch.float64), torch.randn(1, 4, 2, dtype=torch.float64)
    before, after = (
        sample_path(x_0, x_1, torch.tensor([t], dtype=torch.float64)).x_t for t in (0.4 - 1e-6, 0.4 + 1e-6)
    )
    assert torch.allclose((after - before) / 2e-6, x_1 - x_0, atol=1e-6)


def test_the_true_velocity_points_at_the_data_from_everywhere() -> None:
    x_0, x_1, t = torch.randn(3, 4, 2), torch.randn(3, 4, 2), torch.tensor([0.1, 0.5, 0.9])
    sample = sample_path(x_0, x_1, t)
    assert torch.allclose(data_estimate(sample.x_t, sample.velocity, t), x_1, atol=1e-6)


def test_logit_normal_times_have_the_quantiles_of_their_law() -> None:
    t = draw_times(200_000, "logit_normal", torch.Generator().manual_seed(0))
    # P(sigmoid(Z) < sigmoid(1)) = P(Z < 1)
    share = float((t < 1 / (1 + math.exp(-1))).float().mean())
    assert share == pytest.approx(0.8413, abs=0.005)


def test_uniform_times_fill_the_unit_interval_evenly() -> None:
    t = draw_times(200_000, "uniform", torch.Generator().manual_seed(0))
    assert float(t.mean()) == pytest.approx(0.5, abs=0.005)
    assert float(t.var()) == pytest.approx(1 / 12, abs=0.002)


def test_the_start_share_is_the_share_of_exact_zeros() -> None:
    t = draw_times(100_000, "uniform", torch.Generator().manual_seed(0), start_share=0.3)
    assert float((t == 0).float().mean()) == pytest.approx(0.3, abs=0.01)


def test_padding_never_counts_in_the_loss() -> None:
    estimate, target = torch.zeros(1, 3, 2), torch.ones(1, 3, 2)
    target[0, 2] = 1e6
    valid = torch.tensor([[True, True, False]])
    assert float(squared_error(estimate, target, valid)) == 2.0
    # error = target on the valid frames, so the ratio is 1
    assert float(error_ratio_log(estimate, target, valid, floor=0.0)) == pytest.approx(0.0, abs=1e-5)


def test_the_log_ratio_is_the_error_in_nepers_of_energy() -> None:
    target = torch.ones(1, 4, 2)
    ratio = error_ratio_log(target * 1.1, target, torch.ones(1, 4, dtype=torch.bool), floor=0.0)
    assert float(ratio) == pytest.approx(math.log(0.01), abs=1e-3)


def test_the_source_goes_from_the_damaged_latent_to_noise_as_tau_rises() -> None:
    damaged, noise = torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    source = make_source("damaged", damaged, noise, torch.tensor([0.0, 0.25, 1.0]))
    assert torch.equal(source[0], damaged[0])
    assert torch.allclose(source[1], 0.25 * noise[1] + 0.75 * damaged[1])
    assert torch.equal(source[2], noise[2])
    assert torch.equal(make_source("noise", damaged, noise, torch.zeros(3)), noise)


def test_the_uncertain_source_has_the_mean_and_tau_times_the_scale() -> None:
    mean, scale = torch.randn(1, 1, 3), torch.tensor([[[0.1, 1.0, 5.0]]])
    drawn = uncertain_source(
        mean.expand(2, 20_000, 3), scale.expand(2, 20_000, 3), torch.randn(2, 20_000, 3), torch.tensor([0.5, 0.0])
    )
    assert torch.equal(drawn[1], mean[0].expand(20_000, 3))
    assert torch.allclose(drawn[0].std(dim=0), 0.5 * scale[0, 0], rtol=0.03)
    assert torch.allclose((drawn[0].mean(dim=0) - mean[0, 0]) / scale[0, 0], torch.zeros(3), atol=0.02)


@pytest.mark.parametrize("law", ["gaussian", "laplace"])
def test_the_likelihood_is_highest_at_the_scale_of_its_law(law: ScaleLaw) -> None:
    error = torch.randn(1, 500, 1, dtype=torch.float64) ** 3
    valid = torch.ones(1, 500, dtype=torch.bool)
    best = error.square().mean().sqrt() if law == "gaussian" else math.sqrt(2) * error.abs().mean()
    at_best = best.log().expand(1, 500, 1).detach().requires_grad_()
    (slope,) = torch.autograd.grad(scale_surprise(error, at_best, valid, law=law).sum(), at_best)
    assert float(slope.sum()) == pytest.approx(0.0, abs=1e-9)
    surprises = [
        float(scale_surprise(error, (best.log() + shift).expand(1, 500, 1), valid, law=law))
        for shift in (-0.2, 0.0, 0.2)
    ]
    assert surprises[1] == min(surprises)


def test_the_likelihood_is_that_of_its_law_up_to_a_constant() -> None:
    error, log_scale = torch.tensor([[[0.7]]]), torch.tensor([[[math.log(0.3)]]])
    valid = torch.ones(1, 1, dtype=torch.bool)
    normal = -torch.distributions.Normal(0.0, 0.3).log_prob(error).squeeze() - 0.5 * math.log(2 * math.pi)
    laplace = -torch.distributions.Laplace(0.0, 0.3 / math.sqrt(2)).log_prob(error).squeeze() - 0.5 * math.log(2)
    assert float(scale_surprise(error, log_scale, valid)) == pytest.approx(float(normal), rel=1e-5)
    assert float(scale_surprise(error, log_scale, valid, law="laplace")) == pytest.approx(float(laplace), rel=1e-5)


def test_padding_surprises_no_one() -> None:
    error, valid = torch.full((1, 2, 1), 1.0), torch.tensor([[True, False]])
    error[0, 1] = 1e6
    assert float(scale_surprise(error, torch.zeros(1, 2, 1), valid)) == pytest.approx(0.5)
