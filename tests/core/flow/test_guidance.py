"""Guidance against its formula, on a field whose branches are plain numbers."""

import pytest
import torch

from audiobuff_core.flow.guidance import ALL_HIDDEN, ALL_SHOWN, Guidance, GuidedField, Hidden

# v(none), v(structure alone), v(semantic alone), v(both)
NONE, STRUCTURE, SEMANTIC, BOTH = 1.0, 3.0, 7.0, 20.0
VELOCITIES = {
    ALL_HIDDEN: NONE,
    Hidden(semantic=True): STRUCTURE,
    Hidden(structure=True): SEMANTIC,
    ALL_SHOWN: BOTH,
}


class _Numbers:
    """Counts the rows that it is asked for."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, x_t: torch.Tensor, t: torch.Tensor, branches: tuple[Hidden, ...] = (ALL_SHOWN,)) -> torch.Tensor:
        self.rows += len(x_t)
        assert len(x_t) == len(t) == 2 * len(branches)
        return torch.cat([torch.full_like(x_t[:2], VELOCITIES[branch]) for branch in branches])


def _velocity(guidance: Guidance, t: float = 0.4) -> float:
    (value,) = GuidedField(_Numbers(), guidance)(torch.zeros(2, 4, 1), torch.full((2,), t)).unique()
    return float(value)


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.5, 4.0])
def test_joint_guidance_goes_from_none_towards_both(scale: float) -> None:
    assert _velocity(Guidance(scale=scale)) == pytest.approx(NONE + scale * (BOTH - NONE))


@pytest.mark.parametrize(("structure", "semantic"), [(2.0, 1.0), (1.0, 3.0), (2.5, 0.5)])
def test_a_stream_alone_is_followed_beyond_its_own_absence(structure: float, semantic: float) -> None:
    expected = BOTH + (structure - 1) * (BOTH - SEMANTIC) + (semantic - 1) * (BOTH - STRUCTURE)
    assert _velocity(Guidance(structure=structure, semantic=semantic)) == pytest.approx(expected)


def test_joint_and_single_parts_add_up() -> None:
    expected = NONE + 2 * (BOTH - NONE) + 0.5 * (BOTH - SEMANTIC)
    assert _velocity(Guidance(scale=2.0, structure=1.5)) == pytest.approx(expected)


def test_shares_sum_to_one_so_that_agreeing_branches_are_left_alone() -> None:
    assert sum(Guidance(scale=3.1, structure=0.2, semantic=5.0).weights().values()) == pytest.approx(1.0)


def test_guidance_acts_inside_its_interval_only() -> None:
    guidance = Guidance(scale=3.0, interval=(0.2, 0.6))
    assert _velocity(guidance, 0.2) == pytest.approx(NONE + 3 * (BOTH - NONE))
    assert _velocity(guidance, 0.1) == _velocity(guidance, 0.6) == BOTH
    assert _velocity(Guidance(scale=3.0), 1.0) != BOTH


def test_all_branches_go_through_one_pass_and_neutral_ones_through_none() -> None:
    counts = []
    for guidance in (Guidance(), Guidance(scale=2.0), Guidance(scale=0.0), Guidance(scale=2.0, semantic=2.0)):
        numbers = _Numbers()
        GuidedField(numbers, guidance)(torch.zeros(2, 4, 1), torch.zeros(2))
        counts.append(numbers.rows // 2)
    assert counts == [1, 2, 1, 3]
