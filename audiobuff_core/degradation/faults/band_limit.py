"""A band edge, made by any of seven families of filter."""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.align import aligned
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

STOP_DB = 80.0
TRANSITION_SHARE = 0.08
MASK_POINTS = 2048
MOST_DELAY_SECONDS = 0.005


def apply(samples: Samples, sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] without what lies above `bandwidth_hz`, aligned to within a sample.

    `sinc` (Kaiser window), `polyphase` (resampled down and up) and `stft_mask` reach -60 dB within 10 % of the edge;
    `butterworth`, `chebyshev`, `elliptic` and `bessel` of `order` fall as analogue ones do, -3 dB or the ripple at the
    edge. An edge at or above 0.49 of the rate changes nothing.
    """
    bandwidth_hz = float(parameters["bandwidth_hz"])
    if bandwidth_hz >= 0.49 * sample_rate:
        return samples
    family = str(parameters["family"])
    if family == "sinc":
        return _sinc(samples, sample_rate, bandwidth_hz)
    if family == "polyphase":
        return _polyphase(samples, sample_rate, bandwidth_hz)
    if family == "stft_mask":
        return _stft_mask(samples, sample_rate, bandwidth_hz)
    filtered = np.asarray(signal.sosfilt(_sections(sample_rate, bandwidth_hz, parameters), samples, axis=-1))
    filtered = filtered.astype(samples.dtype, copy=False)
    return aligned(samples, filtered, most_samples=max(1, int(MOST_DELAY_SECONDS * sample_rate)))


def _sinc(samples: Samples, sample_rate: int, bandwidth_hz: float) -> Samples:
    """Linear phase: its delay of half the taps is taken off exactly."""
    nyquist_hz = sample_rate / 2.0
    width = min(TRANSITION_SHARE * bandwidth_hz, nyquist_hz - bandwidth_hz)
    num_taps, beta = signal.kaiserord(STOP_DB, width / nyquist_hz)
    num_taps |= 1
    taps = signal.firwin(num_taps, bandwidth_hz + width / 2.0, window=("kaiser", beta), fs=sample_rate)
    half = num_taps // 2
    whole = signal.oaconvolve(samples, taps[np.newaxis], axes=-1)
    return np.asarray(whole[:, half : half + samples.shape[1]])


def _polyphase(samples: Samples, sample_rate: int, bandwidth_hz: float) -> Samples:
    down = resample(Waveform(samples.astype(np.float32), sample_rate), round(2.0 * bandwidth_hz))
    up = resample(down, sample_rate).samples[:, : samples.shape[1]].astype(np.float64)
    return np.pad(up, ((0, 0), (0, samples.shape[1] - up.shape[1])))


def _stft_mask(samples: Samples, sample_rate: int, bandwidth_hz: float) -> Samples:
    window = signal.windows.hann(MASK_POINTS, sym=False)
    transform = signal.ShortTimeFFT(window, MASK_POINTS // 4, fs=sample_rate)
    # The transform wants half a window of samples at least.
    missing = max(0, MASK_POINTS - samples.shape[1])
    spectrum = transform.stft(np.pad(samples, ((0, 0), (0, missing))))
    spectrum[:, transform.f > bandwidth_hz] = 0.0
    return np.asarray(transform.istft(spectrum, k1=samples.shape[1] + missing)[:, : samples.shape[1]].real)


def _sections(sample_rate: int, bandwidth_hz: float, parameters: Parameters) -> Samples:
    """Second-order sections of the analogue-like families."""
    family = str(parameters["family"])
    order = int(parameters["order"])
    shape = {"btype": "lowpass", "output": "sos", "fs": sample_rate}
    if family == "butterworth":
        return np.asarray(signal.butter(order, bandwidth_hz, **shape))
    if family == "bessel":
        return np.asarray(signal.bessel(order, bandwidth_hz, norm="mag", **shape))
    ripple_db = float(parameters["ripple_db"])
    if family == "chebyshev":
        return np.asarray(signal.cheby1(order, ripple_db, bandwidth_hz, **shape))
    return np.asarray(signal.ellip(order, ripple_db, STOP_DB, bandwidth_hz, **shape))
