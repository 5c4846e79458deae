"""Gradient checkpointing and compilation change cost, not results."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from audiobuff_core.errors import InvalidConfig
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.model import ModelConfig, RestorationModel

CONFIG = ModelConfig(latent_dim=12, structure_dim=5, semantic_dim=7, d_model=32, n_heads=2, depth=3, hidden_dim=48)


def awake() -> RestorationModel:
    """A network whose zero-initialised parts are random, as after some training."""
    torch.manual_seed(0)
    model = RestorationModel(CONFIG)
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def inputs(frames: int, batch: int = 2) -> dict[str, object]:
    """A batch whose last frames are padding."""
    generator = torch.Generator().manual_seed(3)

    def stream(frames: int, dim: int, rate: float) -> SideStream:
        values = torch.randn(batch, frames, dim, generator=generator)
        times = (torch.arange(frames, dtype=torch.float64) / rate).expand(batch, -1)
        return SideStream(values, times, torch.ones(batch, frames, dtype=torch.bool), torch.arange(batch) == 0)

    return {
        "x_t": torch.randn(batch, frames, 12, generator=generator),
        "t": torch.rand(batch, generator=generator),
        "tau": torch.rand(batch, generator=generator),
        "damaged": torch.randn(batch, frames, 12, generator=generator),
        "times": (torch.arange(frames, dtype=torch.float64) / 86).expand(batch, -1),
        "valid": torch.arange(frames)[None].expand(batch, -1) < frames - 3,
        "structure": stream(frames // 2, 5, 43.0),
        "semantic": stream(3, 7, 6.25),
    }


def gradients(model: RestorationModel, frames: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The velocity and every parameter's gradient."""
    model.zero_grad()
    velocity = model.velocity(**inputs(frames))
    velocity.square().sum().backward()
    return velocity.detach(), [parameter.grad.clone() for parameter in model.parameters()]


class _Count(TorchDispatchMode):
    """Counts matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.products = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.products += func in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default)
        return func(*args, **(kwargs or {}))


def test_gradient_checkpointing_gives_the_same_gradients_and_computes_twice() -> None:
    model = awake()
    thrifty = copy.deepcopy(model)
    thrifty.vfn.gradient_checkpointing = True
    with _Count() as plain:
        velocity, expected = gradients(model, 20)
    with _Count() as again:
        same, found = gradients(thrifty, 20)
    assert torch.equal(velocity, same)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    assert again.products > plain.products
    with _Count() as inference, torch.no_grad():
        thrifty.velocity(**inputs(20))
    assert 3 * inference.products < again.products


def test_checkpointing_keeps_less() -> None:
    model = awake()

    def kept(thrifty: bool) -> int:
        model.vfn.gradient_checkpointing = thrifty
        held: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            model.velocity(**inputs(64))
        return sum(held.values())

    assert kept(thrifty=True) < 0.7 * kept(thrifty=False)


def test_compiling_without_a_compiler_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InvalidConfig, match="there is no no-such-compiler: install one"):
        awake().vfn.compile_blocks()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_compiled_blocks_give_the_same_gradients() -> None:
    """In a process of its own: the checks of shapes in tests are nothing to compile, and compiling warns."""
    ran = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


if __name__ == "__main__":
    from torch._dynamo.utils import counters

    plain = awake()
    compiled = copy.deepcopy(plain)
    compiled.vfn.compile_blocks()
    for one, other in zip(gradients(plain, 20)[1], gradients(compiled, 20)[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(one.abs().max()))
    assert not counters["graph_break"], counters["graph_break"]
    assert list(plain.state_dict()) == list(compiled.state_dict())
    assert 0 < counters["stats"]["unique_graphs"] < CONFIG.depth  # blocks share what is compiled
