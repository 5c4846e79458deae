"""Steps of a block whose derivatives are written out: the same numbers as autograd's in a fraction of its passes.

A block is not only matrix products. What autograd makes of the normalisation and rotation of queries and keys, and of
the convolution over time, are some thirty passes over memory and a slow kernel; in low precision, where the products
take half as long, these would be a quarter of the time.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from audiobuff_core.models.rotary import turn


def normalise_and_rotate(
    heads: Float[Tensor, "batch heads frames head_dim"],
    scale: Float[Tensor, "head_dim"],
    angles: Float[Tensor, "batch frames half"],
) -> Float[Tensor, "batch heads frames head_dim"]:
    """`heads` over their root mean square, times `scale`, turned by `angles` (`rotary.turn`), as exact as float32."""
    turned: Tensor = _NormaliseAndRotate.apply(heads, scale, angles.cos()[:, None], angles.sin()[:, None])
    return turned


class _NormaliseAndRotate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, heads: Tensor, scale: Tensor, cos: Tensor, sin: Tensor) -> Tensor:  # noqa: ANN401
        values = heads.float()
        # What `rms_norm` adds to the mean square; said here, as compiling takes a module's number for one that varies.
        epsilon = torch.finfo(torch.float32).eps
        inverse = (values.square().mean(dim=-1, keepdim=True) + epsilon).rsqrt()
        ctx.save_for_backward(heads, inverse, scale, cos, sin)
        return turn(values * inverse * scale, cos, sin).to(heads.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:  # noqa: ANN401
        heads, inverse, scale, cos, sin = ctx.saved_tensors
        normal = heads.float() * inverse
        back = turn(gradient.float(), cos, -sin)
        of_scale = back * normal
        # d(x / rms) = (dx - n mean(n dx)) / rms, with n = x / rms
        along = (of_scale @ scale)[..., None] / heads.shape[-1]
        of_heads = torch.addcmul(back.mul_(scale), normal, along, value=-1).mul_(inverse)
        return of_heads.to(heads.dtype), of_scale.sum(dim=(0, 1, 2)), None, None


def convolve_each(
    frames: Float[Tensor, "batch frames channels"],
    kernels: Float[Tensor, "channels 1 reach"],
    bias: Float[Tensor, "channels"],
) -> Float[Tensor, "batch frames channels"]:
    """Every channel's own convolution over time, as many frames as before, zeros around them; an odd reach."""
    if torch.is_autocast_enabled(frames.device.type):
        frames = frames.to(torch.get_autocast_dtype(frames.device.type))
    convolved: Tensor = _ConvolveEach.apply(frames, kernels.to(frames.dtype), bias.to(frames.dtype))
    return convolved


class _ConvolveEach(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, frames: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(frames, kernels)
        return _convolved(frames, kernels, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        frames, kernels = ctx.saved_tensors
        reach = kernels.shape[-1]
        of_kernels = [_moved_product(gradient, frames, tap - reach // 2) for tap in range(reach)]
        of_frames = _convolved(gradient.contiguous(), kernels.flip(-1), None)
        return of_frames, torch.stack(of_kernels, dim=-1)[:, None].to(kernels.dtype), gradient.sum(dim=(0, 1))


def _convolved(frames: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    # As a picture of one row: for that, libraries have kernels that take channels last and copy nothing.
    picture = frames.transpose(1, 2)[:, :, None]
    padding = (0, kernels.shape[-1] // 2)
    convolved = functional.conv2d(picture, kernels[:, :, None], bias, padding=padding, groups=kernels.shape[0])
    return convolved[:, :, 0].transpose(1, 2)


def _moved_product(gradient: Tensor, frames: Tensor, offset: int) -> Tensor:
    """[channels]: the sum over items and times of `gradient[time] * frames[time + offset]`."""
    begin, end = max(0, -offset), frames.shape[1] - max(0, offset)
    if begin >= end:
        return gradient.new_zeros(gradient.shape[-1], dtype=torch.float32)
    product = gradient[:, begin:end] * frames[:, begin + offset : end + offset]
    return product.sum(dim=(0, 1), dtype=torch.float32)
