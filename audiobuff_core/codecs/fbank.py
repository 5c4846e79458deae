"""Kaldi's log mel filter bank, as AudioMAE was trained on it.

The steps and constants are those of Kaldi's feature-fbank.cc and of `torchaudio.compliance.kaldi.fbank` with
htk_compat, no dither, no energy, Hanning window, 25 ms frames every 10 ms; a test holds it to the latter.
"""

import math
from functools import cache
from typing import Final

import torch
from torch import Tensor

SAMPLE_RATE: Final = 16_000
FRAME_SAMPLES: Final = 400
SHIFT_SAMPLES: Final = 160
NUM_MELS: Final = 128
_FFT_SIZE: Final = 512
_PRE_EMPHASIS: Final = 0.97
_LOWEST_HZ: Final = 20.0


def num_fbank_frames(num_samples: int) -> int:
    """Frames that lie wholly inside `num_samples`."""
    return 0 if num_samples < FRAME_SAMPLES else 1 + (num_samples - FRAME_SAMPLES) // SHIFT_SAMPLES


def kaldi_fbank(samples: Tensor) -> Tensor:
    """Natural logarithm of mel power [frames, 128] of 16 kHz `samples` [samples]; frame `i` starts at `i * 160`."""
    if num_fbank_frames(samples.shape[0]) == 0:
        return samples.new_zeros(0, NUM_MELS)
    frames = samples.unfold(0, FRAME_SAMPLES, SHIFT_SAMPLES)
    frames = frames - frames.mean(1, keepdim=True)
    before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
    frames = (frames - _PRE_EMPHASIS * before) * torch.hann_window(FRAME_SAMPLES, periodic=False)
    spectrum = torch.fft.rfft(frames, n=_FFT_SIZE)
    power = spectrum.real.square() + spectrum.imag.square()
    mels: Tensor = power @ _mel_matrix()
    return mels.clamp(min=torch.finfo(torch.float32).eps).log()


@cache
def _mel_matrix() -> Tensor:
    """[257, 128]: triangles that are straight on Kaldi's mel scale, the Nyquist bin left out."""
    low, high = _mel(_LOWEST_HZ), _mel(SAMPLE_RATE / 2)
    step = (high - low) / (NUM_MELS + 1)
    left = low + torch.arange(NUM_MELS, dtype=torch.float64) * step
    bins_hz = torch.arange(_FFT_SIZE // 2, dtype=torch.float64) * SAMPLE_RATE / _FFT_SIZE
    bins = (1127.0 * (1.0 + bins_hz / 700.0).log())[:, None]
    triangles = torch.minimum((bins - left) / step, (left + 2 * step - bins) / step).clamp(min=0)
    return torch.nn.functional.pad(triangles, (0, 0, 0, 1)).to(torch.float32)


def _mel(frequency_hz: float) -> float:
    return 1127.0 * math.log(1.0 + frequency_hz / 700.0)
