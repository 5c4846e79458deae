"""The written-out derivatives are those that autograd finds."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from audiobuff_core.models.derivatives import convolve_each, normalise_and_rotate
from audiobuff_core.models.rotary import rotary_angles

Function = Callable[..., Tensor]


def rotated_by_autograd(heads: Tensor, scale: Tensor, angles: Tensor) -> Tensor:
    """The same, step by step."""
    first, second = functional.rms_norm(heads.float(), heads.shape[-1:], scale).chunk(2, dim=-1)
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(heads.dtype)


def convolved_by_autograd(frames: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
    """The same by PyTorch's convolution."""
    reach, channels = kernels.shape[-1], kernels.shape[0]
    taken = frames.transpose(1, 2), kernels.to(frames.dtype), bias.to(frames.dtype)
    return functional.conv1d(*taken, padding=reach // 2, groups=channels).transpose(1, 2)


def results(function: Function, inputs: list[Tensor], *constants: Tensor) -> list[Tensor]:
    """What `function` gives and the gradients of `inputs`, for one random direction."""
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    found = function(*leaves, *constants)
    direction = torch.randn(found.shape, generator=torch.Generator().manual_seed(7))
    (found * direction.to(found.dtype)).sum().backward()
    gradients = [leaf.grad for leaf in leaves]
    return [found.detach(), *(gradient for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 2e-5), (torch.bfloat16, 2e-2)])
def test_normalised_and_rotated_heads_and_their_gradients(dtype: torch.dtype, within: float) -> None:
    """As autograd's, whatever the layout of the heads."""
    torch.manual_seed(0)
    stream = (3 * torch.randn(2, 9, 3, 8)).to(dtype)
    angles = rotary_angles(torch.arange(9, dtype=torch.float64).expand(2, -1) / 50, 8)
    inputs = [stream.transpose(1, 2), torch.rand(8) + 0.5]
    ours = results(normalise_and_rotate, inputs, angles)
    theirs = results(rotated_by_autograd, inputs, angles)
    assert len(ours) == len(theirs) == 3
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        assert torch.allclose(one.float(), other.float(), atol=within, rtol=within)


@pytest.mark.parametrize(("frames", "reach"), [(9, 5), (2, 5), (1, 3), (6, 1)])
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_convolved_channels_and_their_gradients(frames: int, reach: int, dtype: torch.dtype, within: float) -> None:
    """As autograd's, down to streams that are shorter than the kernels."""
    torch.manual_seed(1)
    inputs = [torch.randn(2, frames, 4).to(dtype), torch.randn(4, 1, reach), torch.randn(4)]
    ours, theirs = results(convolve_each, inputs), results(convolved_by_autograd, inputs)
    assert len(ours) == len(theirs) == 4
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        assert torch.allclose(one.float(), other.float(), atol=within, rtol=within)


def test_a_convolution_under_autocast_is_in_low_precision() -> None:
    """As PyTorch's own would be, with gradients in the precision of the weights."""
    frames, kernels, bias = torch.randn(1, 6, 4), torch.randn(4, 1, 3, requires_grad=True), torch.randn(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = convolve_each(frames, kernels, bias)
    found.float().sum().backward()
    assert found.dtype == torch.bfloat16
    assert kernels.grad is not None
    assert kernels.grad.dtype == torch.float32
