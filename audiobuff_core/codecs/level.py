"""The loudness at which a codec was trained: reached on the way in, undone on the way out."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from audiobuff_core.audio.loudness import BLOCK_SECONDS, loudness_lufs
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.protocols import Codec

LARGEST_GAIN = 100.0  # 40 dB: under that, a channel holds nothing that would be worth hearing louder


def loudness_gains(waveform: Waveform, target_lufs: float) -> Tensor:
    """The linear gain [channels] that brings each channel to `target_lufs`, no peak over full scale.

    A channel too short to be measured is measured as if it went on like that; a silent one keeps its level.
    """
    repeats = -(-int(np.ceil(BLOCK_SECONDS * waveform.sample_rate)) // waveform.num_samples)
    gains = np.ones(waveform.channels, np.float32)
    for channel, samples in enumerate(waveform.samples):
        peak = float(np.abs(samples).max())
        level = loudness_lufs(Waveform(np.tile(samples, repeats)[None], waveform.sample_rate)) if peak > 0 else None
        if level is not None:
            gains[channel] = min(10 ** ((target_lufs - level) / 20), 1 / peak, LARGEST_GAIN)
    return torch.from_numpy(gains)


class LevelledCodec(Codec, Protocol):
    """A codec that sets the level of what it encodes, and can be told which gains to use."""

    def encode_at(self, waveform: Waveform, gains: Tensor) -> FrameSequence:
        """Latents of `waveform` with each channel times its gain [channels]."""
        ...


def encode_like(codec: Codec, waveform: Waveform, like: FrameSequence) -> FrameSequence:
    """Latents of `waveform` at the gains of `like`, so that a clean track and its damaged twin stay comparable."""
    if like.gains is None:
        return codec.encode(waveform)
    levelled: LevelledCodec = codec  # type: ignore[assignment]  # whoever states gains takes them
    return levelled.encode_at(waveform, like.gains)
