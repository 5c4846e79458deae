"""The embedded side streams: what a listener would note, by signal processing alone, with no weights."""

from fractions import Fraction
from functools import cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.codecs.spectrum import chroma_matrix, cosine_matrix, mel_matrix, power_spectra
from audiobuff_core.seeding import digest

SAMPLE_RATE: Final = 16_000
POWER_FLOOR: Final = 1e-7  # about -50 dB under the usual level of the model's input (RMS 0.1)

# What the scales below bring to about zero mean and unit variance, for music and voices at RMS 0.1.
LOG_POWER_MEAN: Final = -3.6
LOG_POWER_STD: Final = 1.2


def _log_power(power: Tensor) -> Tensor:
    """log10 of `power` over a floor, at about zero mean and unit variance."""
    return ((power + POWER_FLOOR).log10() - LOG_POWER_MEAN) / LOG_POWER_STD


def _mono_samples(waveform: Waveform) -> Tensor:
    """The channels' mean at 16 kHz: [samples]."""
    return torch.from_numpy(resample(waveform.mono(), SAMPLE_RATE).samples[0])


class _Descriptors:
    """What both streams share: 16 kHz, float16 on disk."""

    sample_rate: Final = SAMPLE_RATE

    def to_stored(self, values: Tensor) -> NDArray[np.generic]:
        """Features [..., feature_dim] as float16."""
        return values.detach().cpu().numpy().astype(np.float16)

    def from_stored(self, stored: NDArray[np.generic]) -> Tensor:
        """The float32 features of what `to_stored` gave."""
        return torch.from_numpy(stored.astype(np.float32))


class StructureDescriptors(_Descriptors):
    """Harmony, onsets and pitch at 50 frames a second, 24 numbers each; frame `i` belongs to `i / 50` seconds.

    Columns: 0-11 chroma (share of each pitch class, C first), 12 onset strength, 13 pitch (octaves from 200 Hz,
    times voicing), 14 voicing, 15 level, 16 spectral centroid, 17 flatness, 18-23 six band energies.
    """

    feature_dim: Final = 24
    frame_rate: Final = Fraction(50)
    _hop_samples: Final = 320
    _tonal_window: Final = 2048
    _tonal_fft: Final = 2560  # long enough that the lags in use don't wrap around
    _short_window: Final = 512
    _lags: Final = (20, 320)  # 800 to 50 Hz

    @property
    def identity(self) -> EncoderIdentity:
        """Name, revision and a hash of the constants that decide the values."""
        constants = digest("structure", self._hop_samples, self._tonal_window, self._short_window, POWER_FLOOR)
        return EncoderIdentity("builtin-structure", "1", constants)

    def encode(self, waveform: Waveform) -> FrameSequence:
        """Features [1, seconds * 50 + 1, 24] of `waveform`."""
        samples = _mono_samples(waveform)
        num_frames = samples.shape[0] // self._hop_samples + 1
        tonal = power_spectra(
            samples,
            num_frames=num_frames,
            hop_samples=self._hop_samples,
            window_samples=self._tonal_window,
            fft_size=self._tonal_fft,
        )
        short = power_spectra(
            samples,
            num_frames=num_frames,
            hop_samples=self._hop_samples,
            window_samples=self._short_window,
            fft_size=self._short_window,
        )
        harmony = torch.cat([self._harmony(power) for power in tonal])
        timbre, bands = (torch.cat(parts) for parts in zip(*map(self._timbre, short), strict=True))
        values = torch.cat([harmony[:, :12], _onset_strength(bands), harmony[:, 12:], timbre], dim=1)
        return FrameSequence(values[None], self.frame_rate)

    def _harmony(self, power: Tensor) -> Tensor:
        """Chroma, pitch and voicing [frames, 14] of tonal spectra."""
        chroma = (power + POWER_FLOOR).sqrt() @ _tonal_matrix(self._tonal_fft)
        share = chroma / chroma.sum(1, keepdim=True)
        pitch_octaves, voicing = self._pitch(power)
        columns = [25 * (share - 1 / 12), (2 * voicing * pitch_octaves)[:, None], (3 * voicing - 1.4)[:, None]]
        return torch.cat(columns, dim=1)

    def _pitch(self, power: Tensor) -> tuple[Tensor, Tensor]:
        """Octaves from 200 Hz and voicing 0-1, each [frames], by the first strong peak of the autocorrelation."""
        low, high = self._lags
        correlation = torch.fft.irfft(power, n=self._tonal_fft)
        scale = (correlation[:, :1] + POWER_FLOOR) * _window_correlation(self._tonal_window, self._tonal_fft)
        curve = (correlation / scale)[:, low - 1 : high + 2]
        middle = curve[:, 1:-1]
        is_peak = (middle >= curve[:, :-2]) & (middle > curve[:, 2:])
        strength = torch.where(is_peak, middle, 0.0)
        highest = strength.amax(1, keepdim=True)
        index = (strength >= 0.9 * highest).to(torch.int8).argmax(1, keepdim=True)
        before, at, after = (curve.gather(1, index + step) for step in range(3))
        bend = (before - 2 * at + after).clamp(max=-1e-6)
        lag = index + low + (0.5 * (before - after) / bend).clamp(-0.5, 0.5)
        return torch.log2(SAMPLE_RATE / lag / 200)[:, 0], highest[:, 0].clamp(0, 1)

    def _timbre(self, power: Tensor) -> tuple[Tensor, Tensor]:
        """Level, centroid, flatness, six band energies [frames, 9], and fine bands for the onsets [frames, 24]."""
        floored = power + POWER_FLOOR
        bins = torch.linspace(0, 1, power.shape[1])
        centroid = (floored * bins).sum(1) / floored.sum(1)
        flatness = floored.log10().mean(1) - floored.mean(1).log10()
        fine = _log_power(power @ _onset_matrix(self._short_window))
        summary = torch.stack([_log_power(power.mean(1)), 0.7 * (centroid + 0.01).log2() + 2, 1.5 * flatness + 1.8], 1)
        return torch.cat([summary, fine.reshape(-1, 6, 4).mean(2)], dim=1), fine


def _onset_strength(bands: Tensor) -> Tensor:
    """[frames, 1]: mean rise of `bands` [frames, bands] over the frame before."""
    rise = (bands[1:] - bands[:-1]).clamp(min=0).mean(1, keepdim=True)
    return 6 * torch.cat([torch.zeros(1, 1), rise]) - 0.6


@cache
def _tonal_matrix(fft_size: int) -> Tensor:
    return chroma_matrix(fft_size=fft_size, sample_rate=SAMPLE_RATE, lowest_hz=65, highest_hz=4200)


@cache
def _onset_matrix(fft_size: int) -> Tensor:
    return mel_matrix(24, fft_size=fft_size, sample_rate=SAMPLE_RATE, lowest_hz=40, highest_hz=8000)


@cache
def _window_correlation(window_samples: int, fft_size: int) -> Tensor:
    """Autocorrelation [fft_size] of the Hann window, 1 at lag 0: a periodic signal then correlates 1 with itself."""
    spectrum = torch.fft.rfft(torch.hann_window(window_samples, dtype=torch.float64), n=fft_size)
    correlation: Tensor = torch.fft.irfft(spectrum.abs().square(), n=fft_size)
    return (correlation / correlation[0]).clamp(min=1e-3).to(torch.float32)


class SemanticDescriptors(_Descriptors):
    """Log-mel patches and their wider timbre, 6.25 frames a second, 128 numbers each.

    Frame `i` belongs to `i / 6.25` seconds and covers 80 ms either side. Columns: 0-47 and 48-95 log-mel of its
    first and second half, 96-111 how much 16 bands move inside it, 112-127 cepstral coefficients 1-16 of the
    1.1 seconds around it.
    """

    feature_dim: Final = 128
    frame_rate: Final = Fraction(25, 4)
    _patch_samples: Final = 2560
    _hop_samples: Final = 160
    _window_samples: Final = 400
    _fft_size: Final = 512
    _num_mels: Final = 48
    _num_cepstral: Final = 16
    _context_patches: Final = 7

    @property
    def identity(self) -> EncoderIdentity:
        """Name, revision and a hash of the constants that decide the values."""
        constants = digest("semantic", self._patch_samples, self._num_mels, self._num_cepstral, POWER_FLOOR)
        return EncoderIdentity("builtin-semantic", "1", constants)

    def encode(self, waveform: Waveform) -> FrameSequence:
        """Features [1, seconds * 6.25 + 1, 128] of `waveform`."""
        samples = _mono_samples(waveform)
        num_patches = samples.shape[0] // self._patch_samples + 1
        frames_a_patch = self._patch_samples // self._hop_samples
        spectra = power_spectra(
            samples,
            num_frames=num_patches * frames_a_patch,
            hop_samples=self._hop_samples,
            window_samples=self._window_samples,
            fft_size=self._fft_size,
            first_centre=(self._hop_samples - self._patch_samples) / 2,
        )
        mels = torch.cat([_log_power(power @ _patch_matrix(self._fft_size, self._num_mels)) for power in spectra])
        halves = mels.reshape(num_patches, 2, frames_a_patch // 2, self._num_mels).mean(2)
        bands = mels.reshape(num_patches, frames_a_patch, 16, self._num_mels // 16).mean(3)
        motion = 3 * bands.std(1, correction=0) - 0.9
        values = torch.cat([halves.flatten(1), motion, self._timbre(halves.mean(1))], dim=1)
        return FrameSequence(values[None], self.frame_rate)

    def _timbre(self, mels: Tensor) -> Tensor:
        """Cepstral coefficients [patches, 16] of `mels` [patches, mels] averaged over the context."""
        reach = self._context_patches // 2
        padded = torch.nn.functional.pad(mels.T[None], (reach, reach), mode="replicate")
        context = torch.nn.functional.avg_pool1d(padded, self._context_patches, stride=1)[0].T
        evening = 0.53 * torch.arange(1, self._num_cepstral + 1).pow(0.65)  # higher orders move less
        return context @ cosine_matrix(self._num_mels, self._num_cepstral) * evening


@cache
def _patch_matrix(fft_size: int, num_mels: int) -> Tensor:
    return mel_matrix(num_mels, fft_size=fft_size, sample_rate=SAMPLE_RATE, lowest_hz=40, highest_hz=8000)
