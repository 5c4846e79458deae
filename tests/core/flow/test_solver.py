import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiobuff_core.flow.solver import SolverMethod, integrate, time_grid


def _cubic(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return 3 * t[:, None, None] ** 2 + 0 * x


def _decay(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return -x


@pytest.mark.parametrize("method", ["euler", "midpoint", "heun"])
def test_three_t_squared_integrates_to_one(method: SolverMethod) -> None:
    x = integrate(_cubic, torch.zeros(1, 1, 1, dtype=torch.float64), time_grid(1000), method=method)
    assert float(x) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
def test_the_error_falls_with_the_order_of_the_method(method: SolverMethod, order: int) -> None:
    start = torch.ones(1, 1, 1, dtype=torch.float64)
    errors = [abs(float(integrate(_decay, start, time_grid(n), method=method)) - math.exp(-1)) for n in (32, 64)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.05)


@given(st.integers(1, 60), st.floats(-1, 1.7))
def test_a_grid_rises_from_zero_to_one(num_steps: int, sway: float) -> None:
    grid = time_grid(num_steps, sway=sway)
    assert len(grid) == num_steps + 1
    assert float(grid[0]) == 0
    assert float(grid[-1]) == pytest.approx(1)
    assert bool((grid.diff() > -1e-12).all())


def test_the_grid_of_full_sway_is_a_quarter_of_a_cosine() -> None:
    u = torch.linspace(0, 1, 9, dtype=torch.float64)
    assert torch.allclose(time_grid(8, sway=-1.0), 1 - torch.cos(math.pi / 2 * u))
    assert torch.allclose(time_grid(8), u)


def test_a_grid_that_would_turn_back_is_refused() -> None:
    for sway in (-1.1, 1.8):
        with pytest.raises(ValueError, match=f"Sway {sway}"):
            time_grid(8, sway=sway)


@pytest.mark.parametrize(("method", "exact_degree"), [("euler", 0), ("midpoint", 1), ("heun", 1)])
def test_a_method_is_exact_for_velocities_up_to_its_degree(method: SolverMethod, exact_degree: int) -> None:
    """On any grid, the swayed one too: the integral of t^n from 0 to 1 is 1 / (n + 1)."""
    grid = time_grid(5, sway=-0.7)
    for degree in (0, 1, 2):

        def power(x: torch.Tensor, t: torch.Tensor, degree: int = degree) -> torch.Tensor:
            return t[:, None, None] ** degree + 0 * x

        error = abs(
            float(integrate(power, torch.zeros(1, 1, 1, dtype=torch.float64), grid, method=method)) - 1 / (degree + 1)
        )
        assert (error < 1e-12) == (degree <= exact_degree), degree


def test_negative_sway_puts_steps_near_the_start() -> None:
    assert float(time_grid(8, sway=-1.0)[4]) < float(time_grid(8)[4])


def test_a_grid_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        time_grid(0)
