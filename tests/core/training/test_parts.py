import math

import pytest
import torch

from audiobuff_core.data.sampler import micro_batch_counters, slot_at
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.training.config import PROFILES, TrainingConfig, config_for, training_key
from audiobuff_core.training.ema import ExponentialAverage
from audiobuff_core.training.optimizer import learning_rate, make_optimizer


def test_every_epoch_visits_every_slot_once() -> None:
    epochs = [[slot_at(epoch * 7 + place, num_slots=7, seed=1) for place in range(7)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_a_step_takes_the_same_samples_however_they_are_split() -> None:
    whole = list(micro_batch_counters(40, micro_batch=0, rank=0, world_size=1, batch_size=4))
    by_rank = [
        c for rank in (0, 1) for c in micro_batch_counters(40, micro_batch=0, rank=rank, world_size=2, batch_size=2)
    ]
    by_turn = [
        c for turn in range(4) for c in micro_batch_counters(40, micro_batch=turn, rank=0, world_size=1, batch_size=1)
    ]
    assert whole == by_rank == by_turn == [40, 41, 42, 43]


def test_the_average_starts_fast_and_ends_at_its_decay() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    ema = ExponentialAverage(model, decay=0.9999)
    torch.nn.init.ones_(model.weight)
    ema.update(model)
    # first update: decay (1 + 0) / (10 + 0)
    assert ema.model.weight.item() == pytest.approx(0.9)
    slow = ExponentialAverage(model, decay=0.5)
    slow.num_updates = 10_000
    torch.nn.init.zeros_(model.weight)
    slow.update(model)
    assert slow.model.weight.item() == pytest.approx(0.5)


def test_the_learning_rate_rises_then_falls_to_a_hundredth() -> None:
    config = TrainingConfig(lr=1.0, warmup_steps=9)
    rates = [learning_rate(step, step / 1000, config) for step in range(1001)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0, abs=1e-3)
    assert rates[1000] == pytest.approx(0.01)
    assert rates[505] == pytest.approx(0.505 + 0.495 * math.cos(math.pi * 0.505))


def test_norms_biases_and_nulls_have_no_decay() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.LayerNorm(3))
    matrices, vectors = make_optimizer(model, TrainingConfig(weight_decay=0.1)).param_groups
    assert matrices["weight_decay"] == 0.1
    assert [parameter.shape for parameter in matrices["params"]] == [torch.Size([3, 3])]
    assert vectors["weight_decay"] == 0.0
    assert len(vectors["params"]) == 3


def test_all_wrong_options_are_named_at_once() -> None:
    with pytest.raises(InvalidConfig, match=r"batch_size 0 .*p_uncond 2.*source 'tape'"):
        TrainingConfig(batch_size=0, p_uncond=2, source="tape")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    with pytest.raises(InvalidConfig, match=rf"lr {value} \(expected at least 0"):
        TrainingConfig(lr=value)


def test_the_original_profiles_keep_their_numbers() -> None:
    table = {
        name: (c.epochs, c.batch_size, c.num_workers, c.lr, c.weight_decay, c.grad_accum_steps)
        for name, c in PROFILES.items()
        if name in ("smoke", "poc", "full")
    }
    assert table == {
        "smoke": (1, 2, 2, 1e-4, 1e-5, 1),
        "poc": (8, 4, 2, 1e-4, 1e-5, 4),
        "full": (100, 8, 4, 1e-4, 1e-5, 8),
    }


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="expected one of smoke, poc, full"):
        config_for("huge", {})


@pytest.mark.parametrize("source", ["noise", "damaged"])
def test_another_source_brings_what_suits_it(source: str) -> None:
    """The estimate alone, tau 0, which `builtin` recommends, is nothing that a flow from noise could start at."""
    assert PROFILES["builtin"].inference_tau == 0.0
    assert config_for("builtin", {"source": source}).inference_tau is None
    assert config_for("builtin", {"source": source, "inference_tau": 0.5}).inference_tau == 0.5


def test_a_checkpoint_is_named_by_all_that_decides_it() -> None:
    key = training_key("abc", profile="demo", seed=1)
    assert key == training_key("abc", profile="demo", seed=1)
    assert len({key, training_key("abd", profile="demo", seed=1), training_key("abc", profile="demo", seed=2)}) == 3
    assert key != training_key("abc", profile="demo", seed=1, overrides={"max_steps": 2})
