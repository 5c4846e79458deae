"""Short-time power spectra and the band matrices that summarise them."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

FRAMES_A_BLOCK = 128  # bounds the memory of long tracks and keeps a block in the processor's cache


def power_spectra(
    samples: Tensor, *, num_frames: int, hop_samples: int, window_samples: int, fft_size: int, first_centre: float = 0.0
) -> Iterator[Tensor]:
    """Blocks [frames, fft_size // 2 + 1] of power spectra; frame `i` is centred on `first_centre + i * hop_samples`.

    `samples` is [samples], zeros are assumed outside. The Hann window is scaled so that white noise of variance 1
    has a mean power of 1 in every bin.
    """
    window = torch.hann_window(window_samples, periodic=True, dtype=torch.float64)
    window = (window / window.square().sum().sqrt()).to(torch.float32)
    ahead = window_samples // 2 - round(first_centre)
    span = (num_frames - 1) * hop_samples + window_samples
    padded = torch.nn.functional.pad(samples, (ahead, max(0, span - ahead - samples.shape[0])))
    frames = padded.unfold(0, window_samples, hop_samples)[:num_frames]
    for first in range(0, num_frames, FRAMES_A_BLOCK):
        spectrum = torch.fft.rfft(frames[first : first + FRAMES_A_BLOCK] * window, n=fft_size)
        yield spectrum.real.square() + spectrum.imag.square()


def mel_matrix(num_bands: int, *, fft_size: int, sample_rate: int, lowest_hz: float, highest_hz: float) -> Tensor:
    """[fft_size // 2 + 1, num_bands]: triangles on the HTK mel scale, each of sum 1 (a weighted mean of the bins)."""
    edges_mel = torch.linspace(_hz_to_mel(lowest_hz), _hz_to_mel(highest_hz), num_bands + 2, dtype=torch.float64)
    edges_hz = 700 * (10 ** (edges_mel / 2595) - 1)
    bins_hz = torch.arange(fft_size // 2 + 1, dtype=torch.float64)[:, None] * sample_rate / fft_size
    rising = (bins_hz - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles / triangles.sum(0)).to(torch.float32)


def _hz_to_mel(frequency_hz: float) -> float:
    return 2595 * math.log10(1 + frequency_hz / 700)


def chroma_matrix(*, fft_size: int, sample_rate: int, lowest_hz: float, highest_hz: float) -> Tensor:
    """[fft_size // 2 + 1, 12]: how much of each bin belongs to each pitch class (0 = C, equal temperament, A 440 Hz).

    Bins outside `lowest_hz` to `highest_hz` count for nothing; inside, each weighs 1 / frequency, so that every
    octave counts alike.
    """
    bins_hz = torch.arange(fft_size // 2 + 1, dtype=torch.float64) * sample_rate / fft_size
    inside = (bins_hz >= lowest_hz) & (bins_hz <= highest_hz)
    frequency = torch.where(inside, bins_hz, 440.0)
    semitones = 12 * torch.log2(frequency / 440) + 9
    distance = (semitones[:, None] - torch.arange(12, dtype=torch.float64) + 6) % 12 - 6
    weights = torch.exp(-0.5 * (distance / 0.5).square())
    weights = weights / weights.sum(1, keepdim=True) * (inside * 440 / frequency)[:, None]
    return weights.to(torch.float32)


def cosine_matrix(num_inputs: int, num_coefficients: int) -> Tensor:
    """[num_inputs, num_coefficients]: orthonormal DCT-II, coefficient 0 (the mean) left out."""
    moments = torch.arange(num_inputs, dtype=torch.float64)[:, None] + 0.5
    orders = torch.arange(1, num_coefficients + 1, dtype=torch.float64)
    return (math.sqrt(2 / num_inputs) * torch.cos(math.pi / num_inputs * moments * orders)).to(torch.float32)
