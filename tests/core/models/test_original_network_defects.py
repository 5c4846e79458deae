"""Defects of the original's network that cannot come back; `test_original_defects.py` has the list."""

import pytest
import torch

from audiobuff_core.errors import InvalidCheckpoint
from audiobuff_core.models.attention import Attention
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.legacy import SinusoidalTime
from audiobuff_core.models.model import ModelConfig, RestorationModel
from audiobuff_core.models.modulation import StepEmbedding
from audiobuff_core.models.rotary import rotary_angles
from audiobuff_core.models.schema import model_of

SIZES = ModelConfig(latent_dim=12, structure_dim=5, semantic_dim=7, d_model=32, n_heads=2, depth=1, hidden_dim=48)


def _awake() -> RestorationModel:
    """A network whose zero-initialised parts are random, as after some training."""
    torch.manual_seed(0)
    model = RestorationModel(SIZES).eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def _side(frames: int, dim: int, rate: float) -> SideStream:
    times = (torch.arange(frames, dtype=torch.float64) / rate)[None]
    values = torch.randn(1, frames, dim, generator=torch.Generator().manual_seed(dim))
    return SideStream(values, times, torch.ones(1, frames, dtype=torch.bool), torch.zeros(1, dtype=torch.bool))


def test_attention_depends_on_when_its_context_was() -> None:
    torch.manual_seed(1)
    attention, stream = Attention(32, 2), torch.randn(1, 9, 32)
    times, valid = torch.arange(9, dtype=torch.float64)[None] / 86, torch.ones(1, 9, dtype=torch.bool)

    def attended(context_times: torch.Tensor) -> torch.Tensor:
        return attention(stream, rotary_angles(times, 16), stream, rotary_angles(context_times, 16), valid)

    assert not torch.allclose(attended(times), attended(times.flip(1)), atol=1e-3)


def test_the_velocity_depends_on_the_damaged_latent() -> None:
    model, x_t = _awake(), torch.randn(1, 20, 12)
    rest = {
        "t": torch.rand(1), "tau": torch.zeros(1), "valid": torch.ones(1, 20, dtype=torch.bool),
        "times": torch.arange(20, dtype=torch.float64)[None] / 86,
        "structure": _side(12, 5, 50.0), "semantic": _side(3, 7, 6.25),
    }  # fmt: skip
    one, other = (model.velocity(x_t=x_t, damaged=damaged, **rest) for damaged in (x_t, -x_t))
    assert float((one - other).detach().abs().max()) > 0.1


def test_the_time_embedding_turns_within_the_unit_interval() -> None:
    """How many sinusoids pass through a whole period from t = 0 to 1: many of ours, none of the original's."""
    t = torch.linspace(0, 1, 20_001)

    def num_turning(waves: torch.Tensor) -> int:
        signs = waves[:, : waves.shape[1] // 2].sign()
        return int(((signs[1:] * signs[:-1] < 0).sum(dim=0) >= 2).sum())

    assert num_turning(SinusoidalTime(128)(t)) == 0
    assert num_turning(StepEmbedding(8, num_frequencies=64)._waves(t)) >= 24


def test_a_block_answers_a_loud_stream_no_louder() -> None:
    """Every sub-layer normalises what it takes, so a hundredfold stream does not get a hundredfold update."""
    model = _awake()
    block, x = model.vfn.blocks[0], torch.randn(1, 9, 32)
    times = torch.arange(9, dtype=torch.float64)[None] / 86
    tokens = model.aligner(_side(6, 5, 50.0), _side(2, 7, 6.25))
    rest = (torch.randn(1, 32), rotary_angles(times, 16), torch.ones(1, 9, dtype=torch.bool), *tokens)
    quiet, loud = (float((block(gain * x, *rest) - gain * x).detach().norm()) for gain in (1.0, 100.0))
    assert loud < 3 * quiet


def test_no_attention_matrix_is_kept_for_the_gradient() -> None:
    frames, heads, kept = 1024, 2, []
    attention, stream = Attention(32, heads), torch.randn(1, frames, 32)
    angles = rotary_angles(torch.arange(frames, dtype=torch.float64)[None] / 86, 16)

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.untyped_storage().nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        attention(stream, angles, stream, angles, torch.ones(1, frames, dtype=torch.bool)).sum().backward()
    assert max(kept) < frames * frames  # a quarter of one head's matrix in float32


def test_weights_that_are_missing_or_too_many_are_refused() -> None:
    state = RestorationModel(SIZES).state_dict()
    with pytest.raises(InvalidCheckpoint, match="surplus"):
        model_of(SIZES, state | {"vfn.surplus": torch.zeros(1)}, "here")
    del state["vfn.head.fields.bias"]
    with pytest.raises(InvalidCheckpoint, match=r"head\.fields\.bias"):
        model_of(SIZES, state, "here")
