"""The modified discrete cosine transform: orthonormal, critically sampled, differentiable.

Time-domain aliasing cancellation after Princen, Johnson and Bradley, "Subband/Transform coding using filter bank
designs based on time domain aliasing cancellation", ICASSP 1987; the DCT-IV by a complex FFT of half its width.
"""

import math
from functools import cache

import torch
from torch import Tensor


def num_mdct_frames(num_samples: int, hop_length: int) -> int:
    """Frames that cover `num_samples`: frame `k` is centred on sample `k * hop_length`, so both ends have one."""
    return -(-num_samples // hop_length) + 1


def mdct(samples: Tensor, hop_length: int) -> Tensor:
    """Coefficients [..., frames, hop_length] of `samples` [..., samples], float32, energy preserved.

    Frame `k` covers samples `(k - 1) * hop_length` to `(k + 1) * hop_length`; silence is assumed outside.
    """
    num_samples = samples.shape[-1]
    num_frames = num_mdct_frames(num_samples, hop_length)
    behind = num_frames * hop_length - num_samples
    padded = torch.nn.functional.pad(samples, (hop_length, behind))
    blocks = padded.reshape(*samples.shape[:-1], num_frames + 1, hop_length)
    rising, falling = _window(hop_length, samples.device)
    half = hop_length // 2
    first, second = blocks[..., :-1, :] * rising, blocks[..., 1:, :] * falling
    folded = torch.cat(
        [-second[..., :half].flip(-1) - second[..., half:], first[..., :half] - first[..., half:].flip(-1)], dim=-1
    )
    return _dct_iv(folded)


def inverse_mdct(coefficients: Tensor, num_samples: int) -> Tensor:
    """The samples [..., num_samples] whose `mdct` is `coefficients` [..., frames, hop_length].

    Sample 0 is the centre of frame 0. The frames must cover `num_samples`: `num_mdct_frames` says how many do.
    """
    hop_length = coefficients.shape[-1]
    rising, falling = _window(hop_length, coefficients.device)
    half = hop_length // 2
    folded = _dct_iv(coefficients)
    low, high = folded[..., :half], folded[..., half:]
    first = torch.cat([high, -high.flip(-1)], dim=-1) * rising
    second = torch.cat([-low.flip(-1), -low], dim=-1) * falling
    blocks = second[..., :-1, :] + first[..., 1:, :]
    return blocks.flatten(-2)[..., :num_samples]


def _dct_iv(values: Tensor) -> Tensor:
    """Orthonormal DCT-IV over the last axis (its own inverse)."""
    width = values.shape[-1]
    twiddle = _twiddle(width, values.device)
    packed = torch.complex(values[..., 0::2], values[..., 1::2].flip(-1)) * twiddle
    spectrum = torch.fft.fft(packed) * twiddle * math.sqrt(2 / width)
    return torch.stack([spectrum.real, -spectrum.imag.flip(-1)], dim=-1).flatten(-2)


@cache
def _twiddle(width: int, device: torch.device) -> Tensor:
    steps = torch.arange(width // 2, dtype=torch.float64)
    angle = -math.pi * (8 * steps + 1) / (8 * width)
    return torch.polar(torch.ones_like(angle), angle).to(device=device, dtype=torch.complex64)


@cache
def _window(hop_length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The rising and the falling half of the sine window, each [hop_length]."""
    phase = math.pi * (torch.arange(hop_length, dtype=torch.float64) + 0.5) / (2 * hop_length)
    rising = phase.sin().to(device=device, dtype=torch.float32)
    return rising, rising.flip(0)
