import pytest
import torch
from torch.overrides import TorchFunctionMode

from audiobuff_core.models.attention import Attention
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.model import ModelConfig, RestorationModel
from audiobuff_core.models.rotary import clock_dtype, on_device, rotary_angles, turn

CONFIG = ModelConfig(latent_dim=12, structure_dim=5, semantic_dim=7, d_model=32, n_heads=2, depth=2, hidden_dim=48)


def _stream(batch: int, frames: int, dim: int, rate: float, dropped: bool = False) -> SideStream:
    times = (torch.arange(frames, dtype=torch.float64) / rate).expand(batch, -1)
    values = torch.randn(batch, frames, dim, generator=torch.Generator().manual_seed(dim))
    return SideStream(values, times, torch.ones(batch, frames, dtype=torch.bool), torch.full((batch,), dropped))


def _inputs(batch: int = 2, frames: int = 20) -> dict[str, object]:
    generator = torch.Generator().manual_seed(3)
    return {
        "x_t": torch.randn(batch, frames, 12, generator=generator),
        "t": torch.rand(batch, generator=generator),
        "tau": torch.zeros(batch),
        "damaged": torch.randn(batch, frames, 12, generator=generator),
        "times": (torch.arange(frames, dtype=torch.float64) / 86.13).expand(batch, -1),
        "valid": torch.ones(batch, frames, dtype=torch.bool),
        "structure": _stream(batch, 12, 5, 50.0),
        "semantic": _stream(batch, 3, 7, 6.25),
    }


def _awake(seed: int = 0) -> RestorationModel:
    """A network whose zero-initialised parts are random, as after some training."""
    torch.manual_seed(seed)
    model = RestorationModel(CONFIG).eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def test_an_untrained_network_changes_nothing() -> None:
    assert not RestorationModel(CONFIG).velocity(**_inputs()).any()


def test_bf16_learns_what_fp32_learns() -> None:
    """The gradient of all weights, padding and a dropped stream among the inputs, in nearly the same direction."""
    inputs = _inputs()
    inputs["valid"] = torch.arange(20)[None] < torch.tensor([[20], [13]])
    inputs["semantic"] = _stream(2, 3, 7, 6.25, dropped=True)
    gradients = []
    for is_low in (False, True):
        model = _awake()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_low):
            velocity = model.velocity(**inputs)
        assert velocity.dtype == torch.float32
        (velocity - 1).square().mean().backward()
        gradients.append(torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None]))
    full, low = gradients
    assert float((low - full).norm()) < 0.05 * float(full.norm())


def test_blocks_are_the_identity_at_the_start() -> None:
    torch.manual_seed(0)
    block = RestorationModel(CONFIG).vfn.blocks[0]
    x, angles = torch.randn(1, 6, 32), rotary_angles(torch.arange(6)[None] / 86.13, 16)
    tokens = RestorationModel(CONFIG).aligner.structure(_stream(1, 4, 5, 50.0))
    assert torch.equal(block(x, torch.randn(1, 32), angles, torch.ones(1, 6, dtype=torch.bool), tokens, tokens), x)


def test_every_parameter_is_trained() -> None:
    model = _awake()
    model.velocity(**_inputs()).square().sum().backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []
    # The null tokens are in the graph, so that all ranks have the same gradients, but idle while nothing is dropped.
    idle = [name for name, parameter in model.named_parameters() if not parameter.grad.any()]
    assert set(idle) <= {"aligner.structure.null", "aligner.semantic.null", "vfn.embed_step.tau.0.weight"}


def test_padding_does_not_reach_valid_frames() -> None:
    model, inputs = _awake(), _inputs(batch=1)
    inputs["valid"] = torch.tensor([[True] * 14 + [False] * 6])
    before = model.velocity(**inputs)[:, :14]
    inputs["x_t"] = inputs["x_t"].clone()
    inputs["x_t"][:, 14:] += 100.0
    assert torch.allclose(model.velocity(**inputs)[:, :14], before, atol=1e-5)


def test_a_dropped_stream_is_its_null_whatever_it_held() -> None:
    model, inputs = _awake(), _inputs()
    inputs["structure"] = _stream(2, 12, 5, 50.0, dropped=True)
    before = model.velocity(**inputs)
    louder = inputs["structure"]
    inputs["structure"] = SideStream(louder.values * 50, louder.times, louder.valid, louder.dropped)
    assert torch.equal(model.velocity(**inputs), before)
    inputs["structure"] = SideStream(louder.values, louder.times, louder.valid, ~louder.dropped)
    assert not torch.allclose(model.velocity(**inputs), before)


def test_a_missing_stream_counts_as_dropped() -> None:
    model, inputs = _awake(), _inputs()
    stream = _stream(2, 12, 5, 50.0, dropped=True)
    inputs["structure"] = stream
    dropped = model.velocity(**inputs)
    inputs["structure"] = SideStream(stream.values, stream.times, torch.zeros_like(stream.valid), ~stream.dropped)
    assert torch.allclose(model.velocity(**inputs), dropped, atol=1e-6)


@pytest.mark.parametrize("told", ["t", "tau"])
def test_the_network_is_told_the_time_and_the_share_of_noise(told: str) -> None:
    model, inputs = _awake(), _inputs()
    one, other = (model.velocity(**(inputs | {told: torch.full((2,), value)})) for value in (0.2, 0.7))
    assert float((one - other).detach().abs().max()) > 0.01


def test_only_differences_of_time_matter() -> None:
    """A segment restores alike wherever it lies in the track."""
    model, inputs = _awake(), _inputs()
    before = model.velocity(**inputs)
    shifted = dict(inputs, times=inputs["times"] + 1.7)
    for name in ("structure", "semantic"):
        stream = inputs[name]
        shifted[name] = SideStream(stream.values, stream.times + 1.7, stream.valid, stream.dropped)
    assert torch.allclose(model.velocity(**shifted), before, atol=1e-4)


class _No64Bits(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        assert not (isinstance(made, torch.Tensor) and made.dtype == torch.float64), func
        return made


def test_an_apple_device_is_asked_for_no_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has none. With the clocks as they are moved there, no step makes any, and the velocity is the same."""
    assert clock_dtype(torch.device("mps")) == torch.float32
    assert clock_dtype(torch.device("cpu")) == torch.float64
    model, inputs = _awake(), _inputs()
    expected = model.velocity(**inputs)
    monkeypatch.setattr("audiobuff_core.models.rotary.clock_dtype", lambda device: torch.float32)
    there = dict(inputs, times=on_device(inputs["times"], torch.device("cpu")))
    for name in ("structure", "semantic"):
        stream = inputs[name]
        times = on_device(stream.times, torch.device("cpu"))
        there[name] = SideStream(stream.values, times, stream.valid, stream.dropped)
    with _No64Bits():
        found = model.velocity(**there)
    assert torch.allclose(found, expected, atol=1e-4)


def test_a_stream_at_another_rate_lines_up_by_its_seconds() -> None:
    """The score of a query against a key depends on the seconds between them, not on their indices."""
    torch.manual_seed(0)
    query, key = torch.randn(1, 1, 1, 16), torch.randn(1, 1, 1, 16)

    def score(query_seconds: float, key_seconds: float) -> float:
        return float((turned(query, query_seconds) * turned(key, key_seconds)).sum())

    def turned(head: torch.Tensor, seconds: float) -> torch.Tensor:
        angles = rotary_angles(torch.tensor([[seconds]]), 16)[:, None]
        return turn(head, angles.cos(), angles.sin())

    # Frame 43 of a 86 Hz stream and frame 25 of a 50 Hz stream are the same moment.
    assert score(43 / 86, 25 / 50) == pytest.approx(score(0.0, 0.0), abs=1e-4)
    assert score(1.0, 1.3) == pytest.approx(score(5.0, 5.3), abs=1e-3)
    assert abs(score(0.0, 0.3) - score(0.0, 0.0)) > 0.05


def test_attention_ignores_invalid_context() -> None:
    torch.manual_seed(0)
    attention = Attention(16, 2)
    target, context = torch.randn(1, 3, 16), torch.randn(1, 5, 16)
    angles = rotary_angles(torch.arange(5, dtype=torch.float64)[None] / 50, 8)
    valid = torch.tensor([[True, True, True, False, False]])
    before = attention(target, angles[:, :3], context, angles, valid)
    context[:, 3:] = 99.0
    assert torch.allclose(attention(target, angles[:, :3], context, angles, valid), before, atol=1e-6)


def test_widths_do_not_depend_on_the_latent() -> None:
    wide = ModelConfig(**(CONFIG.as_dict() | {"latent_dim": 100}))
    narrow_shapes = {name: p.shape for name, p in RestorationModel(CONFIG).named_parameters() if "blocks" in name}
    wide_shapes = {name: p.shape for name, p in RestorationModel(wide).named_parameters() if "blocks" in name}
    assert narrow_shapes == wide_shapes


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of twice n_heads"):
        Attention(18, 4)
