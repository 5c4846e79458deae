"""What attention keeps in memory, and how streams of different rates meet in it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from audiobuff_core.models import block_attention
from audiobuff_core.models.attention import Attention
from audiobuff_core.models.block_attention import attend_in_blocks
from audiobuff_core.models.fusion import Fusion
from audiobuff_core.models.rotary import rotary_angles

TARGET_HZ, OTHER_HZ = 86.0, 50.0


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    torch.manual_seed(0)


def _peak_bytes(work: Callable[[torch.Tensor], torch.Tensor], num_frames: int, width: int) -> int:
    """By how much a forward and a backward pass raise the process's memory at their highest, whoever allocates it."""
    target = torch.randn(1, num_frames, width, requires_grad=True)
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
    before = _status_bytes("VmRSS")
    work(target).sum().backward()
    return _status_bytes("VmHWM") - before


def _status_bytes(name: str) -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


def _with_matrix(target: torch.Tensor) -> torch.Tensor:
    return (target @ target.transpose(-1, -2)).softmax(-1) @ target


def _of_heads(
    frames: int, context: int, valid: torch.Tensor | None = None
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """What blocks in bfloat16 give and the gradients, and what PyTorch's attention gives in float64."""
    shapes = [(2, 3, count, 8) for count in (frames, context, context)]
    inputs = [torch.randn(shape).to(torch.bfloat16) for shape in shapes]
    valid = torch.ones(2, context, dtype=torch.bool) if valid is None else valid
    direction = torch.randn(shapes[0])

    def results(dtype: torch.dtype, attend: Callable[..., torch.Tensor], mask: torch.Tensor) -> list[torch.Tensor]:
        leaves = [each.to(dtype).requires_grad_() for each in inputs]
        found = attend(*leaves, mask)
        (found * direction.to(dtype)).sum().backward()
        return [found.detach().double(), *(leaf.grad.double() for leaf in leaves if leaf.grad is not None)]

    exact = results(torch.float64, functional.scaled_dot_product_attention, valid[:, None, None, :])
    return results(torch.bfloat16, attend_in_blocks, valid), exact


@pytest.mark.parametrize(("frames", "context"), [(20, 5), (20, 33), (1, 1), (33, 9)])
@pytest.mark.parametrize("is_padded", [False, True])
def test_attention_in_blocks_is_attention(
    frames: int, context: int, is_padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several groups of heads and blocks of queries, kept and computed again; padding counts for nothing."""
    monkeypatch.setattr(block_attention, "BLOCK_QUERIES", 8)
    monkeypatch.setattr(block_attention, "BLOCK_WEIGHTS", 100)
    valid = torch.arange(context)[None] < torch.tensor([[context], [max(1, context - 3)]]) if is_padded else None
    ours, exact = _of_heads(frames, context, valid)
    assert len(ours) == len(exact) == 4
    for one, other in zip(ours, exact, strict=True):
        assert float((one - other).norm()) < 0.02 * float(other.norm()) + 1e-6


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's own account of memory")
@pytest.mark.parametrize("is_low", [False, True])
def test_no_attention_matrix_is_in_memory(is_low: bool) -> None:
    """A few arrays as large as the stream, so memory grows linearly; where there is a matrix it is seen."""
    attention, width = Attention(16, 1), 16

    def attend(target: torch.Tensor) -> torch.Tensor:
        num_frames = target.shape[1]
        angles = rotary_angles(torch.arange(num_frames, dtype=torch.float64)[None] / TARGET_HZ, width)
        with torch.autocast("cpu", torch.bfloat16, enabled=is_low):
            return attention(target, angles, target, angles, torch.arange(num_frames)[None] < num_frames - 5)

    attend(torch.randn(1, 64, width, requires_grad=True)).sum().backward()  # what is allocated once
    block_bytes = 10 * 2 * block_attention.BLOCK_WEIGHTS if is_low else 0  # however long the stream
    for num_frames in (4096, 8192):
        stream_bytes, matrix_bytes = 4 * num_frames * width, 4 * num_frames**2
        assert 40 * stream_bytes + block_bytes < 0.5 * matrix_bytes
        # Threads of other tests raise it now and then; a matrix would do so every time, as nothing keeps one so large.
        assert min(_peak_bytes(attend, num_frames, width) for _ in range(3)) < 40 * stream_bytes + block_bytes
    assert _peak_bytes(_with_matrix, 4096, width) > 4 * 4096**2


def _clicks(seconds: torch.Tensor, click: float, width: int) -> torch.Tensor:
    """A stream whose frames are one vector, but for another one in the frame of `click`."""
    stream = torch.ones(1, len(seconds), width)
    stream[0, (seconds - click).abs().argmin()] = torch.linspace(-3, 3, width)
    return stream


def test_a_stream_at_another_rate_lines_up_in_attention() -> None:
    """Attention that looks for its own moment finds it in a stream of another rate, by seconds and not by index."""
    attention, width = Attention(32, 1), 32
    # Equal queries and keys, so that only the clocks decide, and values that are what is at each moment.
    with torch.no_grad():
        attention.query.weight.copy_(torch.zeros(width, width))
        attention.query.weight[:, 0] = 1.0
        attention.key_value.weight[:width] = attention.query.weight
        attention.key_value.weight[width:] = torch.eye(width)
        attention.query_scale.fill_(6.0)  # a sharp look
        attention.out.weight.copy_(torch.eye(width))
        attention.out.bias.zero_()
    seconds = torch.arange(round(2 * TARGET_HZ), dtype=torch.float64) / TARGET_HZ
    other_seconds = torch.arange(round(2 * OTHER_HZ), dtype=torch.float64) / OTHER_HZ
    target = torch.ones(1, len(seconds), width)
    context = _clicks(other_seconds, 1.3, width)
    context[..., 0] = 1.0
    found = attention(
        target,
        rotary_angles(seconds[None], width),
        context,
        rotary_angles(other_seconds[None], width),
        torch.ones(1, len(other_seconds), dtype=torch.bool),
    )
    away_from_ones = (found[0, :, 1:] - 1).square().sum(dim=-1)
    assert float(seconds[away_from_ones.argmax()]) == pytest.approx(1.3, abs=1 / OTHER_HZ)
    assert int(away_from_ones.argmax()) != int((other_seconds - 1.3).abs().argmin())


def test_fusion_takes_from_each_stream_apart() -> None:
    """The sum of what either stream gives: a null in one leaves what comes from the other."""
    from audiobuff_core.models.conditioning import Tokens

    fusion = Fusion(16, 2)

    def tokens(values: torch.Tensor) -> Tokens:
        angles = rotary_angles(torch.arange(values.shape[1], dtype=torch.float64)[None] / OTHER_HZ, 8)
        return Tokens(values, angles, torch.ones(values.shape[:2], dtype=torch.bool))

    target = torch.randn(1, 6, 16)
    angles = rotary_angles(torch.arange(6, dtype=torch.float64)[None] / TARGET_HZ, 8)
    one, other = torch.randn(2, 1, 4, 16)
    structure, semantic = torch.randn(2, 1, 4, 16)
    change = [fusion(target, angles, tokens(s), tokens(semantic)) for s in (structure, one)]
    other_change = [fusion(target, angles, tokens(s), tokens(other)) for s in (structure, one)]
    assert torch.allclose(change[1] - change[0], other_change[1] - other_change[0], atol=1e-6)
    assert not torch.allclose(change[0], other_change[0])
