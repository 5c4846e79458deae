"""Long signals through convolutional networks, piece by piece, with the result of one pass.

Each piece is computed with as much signal on both sides as the network can see, and what that context gave is
thrown away. The outermost pieces have the network's own zero padding, as the whole signal would.
"""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

from torch import Tensor, nn

FRAMES_A_CHUNK = 256  # three seconds of DAC at 44.1 kHz: large enough to keep the cores busy, small enough for 1 GB


def _layers(network: nn.Module) -> Iterator[tuple[bool, int, int, int, int, int]]:
    """Of each convolution, in its order: transposed, kernel span, stride, padding, output padding, dilation."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
            transposed = isinstance(layer, nn.ConvTranspose1d)
            dilation, padding = layer.dilation[0], int(layer.padding[0])
            span = dilation * (layer.kernel_size[0] - 1)
            yield transposed, span, layer.stride[0], padding, layer.output_padding[0], dilation


def reach(network: nn.Module) -> int:
    """How many input positions to each side an output position can depend on, at most.

    The convolutions must be registered in the order in which they run; shortcuts around them see less.
    """
    total, unit = Fraction(0), Fraction(1)
    for transposed, span, stride, padding, _, _ in _layers(network):
        one_side = max(padding, span - padding)
        if transposed:
            total += math.ceil(Fraction(one_side, stride)) * unit
            unit /= stride
        else:
            total += one_side * unit
            unit *= stride
    return math.ceil(total) + 1


def output_length(network: nn.Module, input_length: int) -> int:
    """How many positions the network's convolutions make of `input_length`."""
    length = input_length
    for transposed, span, stride, padding, output_padding, _ in _layers(network):
        if transposed:
            length = (length - 1) * stride - 2 * padding + span + 1 + output_padding
        else:
            length = (length + 2 * padding - span - 1) // stride + 1
    return length


def encode_chunked(
    encode: Callable[[Tensor], Tensor],
    samples: Tensor,
    *,
    hop_length: int,
    context_frames: int,
    chunk_frames: int = FRAMES_A_CHUNK,
) -> Tensor:
    """`encode(samples)` in pieces: [rows, 1, frames * hop_length] to [rows, dim, frames]."""
    num_frames = samples.shape[-1] // hop_length
    whole = samples.new_empty(0)
    for first in range(0, num_frames, chunk_frames):
        last = min(num_frames, first + chunk_frames)
        begin, end = max(0, first - context_frames), min(num_frames, last + context_frames)
        encoded = encode(samples[..., begin * hop_length : end * hop_length])
        if first == 0:  # kept piece by piece, they would lie between the network's blocks and break up the memory
            whole = encoded.new_empty(*encoded.shape[:-1], num_frames)
        whole[..., first:last] = encoded[..., first - begin : last - begin]
    return whole


def decode_chunked(
    decode: Callable[[Tensor], Tensor],
    frames: Tensor,
    *,
    hop_length: int,
    context_frames: int,
    chunk_frames: int = FRAMES_A_CHUNK,
) -> Tensor:
    """`decode(frames)` in pieces: [rows, dim, frames] to [rows, 1, samples], as short at its end as one pass."""
    num_frames = frames.shape[-1]
    whole, length = frames.new_empty(0), 0
    for first in range(0, num_frames, chunk_frames):
        last = min(num_frames, first + chunk_frames)
        begin, end = max(0, first - context_frames), min(num_frames, last + context_frames)
        decoded = decode(frames[..., begin:end])[..., (first - begin) * hop_length : (last - begin) * hop_length]
        if first == 0:
            whole = decoded.new_empty(*decoded.shape[:-1], num_frames * hop_length)
        whole[..., length : length + decoded.shape[-1]] = decoded
        length += decoded.shape[-1]
    return whole[..., :length]
