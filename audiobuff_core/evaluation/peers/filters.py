"""What an engineer's own hands do to a known fault: equalisers, filters, gains and widths, all without delay."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, filtfilt, freqz, iirnotch, sosfiltfilt

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.align import delay_samples
from audiobuff_core.degradation.faults.eq import MOST_DELAY_SECONDS, equaliser_response
from audiobuff_core.degradation.faults.filters import biquad
from audiobuff_core.degradation.ranges import Parameters

Response = NDArray[np.complex128]

FILTER_ORDER = 4
NOTCH_WIDTH_HZ = 2.0
MOST_WIDENING = 10.0
RINGING_SECONDS = 0.1


def high_pass(waveform: Waveform, corner_hz: float) -> Waveform:
    """`waveform` without what lies below `corner_hz`, by a Butterworth filter run there and back."""
    return _both_ways(waveform, "highpass", corner_hz)


def low_pass(waveform: Waveform, corner_hz: float) -> Waveform:
    """`waveform` without what lies above `corner_hz`, by a Butterworth filter run there and back."""
    return _both_ways(waveform, "lowpass", corner_hz)


def _both_ways(waveform: Waveform, kind: str, corner_hz: float) -> Waveform:
    if not 0.0 < corner_hz < 0.49 * waveform.sample_rate:
        return waveform
    sections = butter(FILTER_ORDER, corner_hz, kind, fs=waveform.sample_rate, output="sos")
    if waveform.num_samples <= 3 * (2 * len(sections) + 1):
        return waveform
    return _made(sosfiltfilt(sections, waveform.samples.astype(np.float64), axis=-1), waveform)


def notches(waveform: Waveform, fundamental_hz: float, num_harmonics: int) -> Waveform:
    """`waveform` with a narrow notch at every harmonic."""
    samples = waveform.samples.astype(np.float64)
    for hertz in fundamental_hz * np.arange(1, num_harmonics + 1):
        if hertz < 0.49 * waveform.sample_rate and waveform.num_samples > 9:
            samples = filtfilt(*iirnotch(hertz, hertz / NOTCH_WIDTH_HZ, waveform.sample_rate), samples, axis=-1)
    return _made(samples, waveform)


def undo_equaliser(waveform: Waveform, parameters: Parameters, *, most_db: float) -> Waveform:
    """`waveform` with the response of a fault `eq` turned round, boosting by `most_db` at most."""
    num_points, rate = _num_points(waveform), waveform.sample_rate
    response = equaliser_response(np.fft.rfftfreq(num_points, 1.0 / rate), rate, parameters)
    # The fault took its own delay off; on its result the same filter has the same.
    again = np.fft.irfft(np.fft.rfft(waveform.samples, num_points) * response, num_points)[:, : waveform.num_samples]
    delay = delay_samples(waveform.samples, again, most_samples=max(1, int(MOST_DELAY_SECONDS * rate)))
    return _divided(waveform, _earlier(response, delay), num_points, most_db)


def undo_band(waveform: Waveform, parameters: Parameters, *, most_db: float) -> Waveform:
    """`waveform` with the response of a fault `filters` turned round, boosting by `most_db` at most."""
    num_points, rate = _num_points(waveform), waveform.sample_rate
    hertz = np.fft.rfftfreq(num_points, 1.0 / rate)
    response = np.ones(len(hertz), dtype=np.complex128)
    quality, delay = float(parameters["quality"]), 0
    for name in ("highpass", "lowpass"):
        edge_hz = float(parameters[f"{name}_hz"])
        if edge_hz < 0.49 * rate:
            response *= freqz(*biquad(name, edge_hz, rate, quality), worN=hertz, fs=rate)[1]
            delay = round(rate / (quality * 2.0 * math.pi * edge_hz)) if name == "lowpass" else 0
    return _divided(waveform, _earlier(response, delay), num_points, most_db)


def _earlier(response: Response, samples: int) -> Response:
    """`response` without a delay of `samples`."""
    return np.asarray(response * np.exp(1j * np.pi * samples * np.linspace(0.0, 1.0, len(response))))


def scaled_channels(waveform: Waveform, difference_db: float) -> Waveform:
    """The even channels `difference_db` / 2 louder, the odd ones as much softer."""
    if waveform.channels == 1:
        return waveform
    gain = 10.0 ** (difference_db / 40.0)
    gains = np.where(np.arange(waveform.channels) % 2 == 0, gain, 1.0 / gain)
    return _made(waveform.samples * gains[:, None], waveform)


def widened(waveform: Waveform, width: float) -> Waveform:
    """What channels do not share, by 1 / `width` louder, ten times at most."""
    middle = waveform.samples.mean(axis=0, keepdims=True)
    return _made(middle + (waveform.samples - middle) * min(MOST_WIDENING, 1.0 / max(width, 1e-9)), waveform)


def turned_over(waveform: Waveform, channel: int) -> Waveform:
    """One channel (counted round) times -1."""
    if waveform.channels == 1:
        return waveform
    samples = waveform.samples.copy()
    samples[channel % waveform.channels] *= -1.0
    return Waveform(samples, waveform.sample_rate)


def without_mean(waveform: Waveform) -> Waveform:
    """Every channel less its mean."""
    return _made(waveform.samples - waveform.samples.mean(axis=1, keepdims=True, dtype=np.float64), waveform)


def _divided(waveform: Waveform, response: Response, num_points: int, most_db: float) -> Waveform:
    """`waveform` divided by `response`, phase and all; where that would exceed `most_db`, less and less."""
    power = np.square(np.abs(response))
    inverse = response.conj() / np.maximum(power, 10.0 ** (-most_db / 10.0))
    spectrum = np.fft.rfft(waveform.samples, num_points) * inverse
    return _made(np.fft.irfft(spectrum, num_points)[:, : waveform.num_samples], waveform)


def _num_points(waveform: Waveform) -> int:
    return 1 << (waveform.num_samples + round(RINGING_SECONDS * waveform.sample_rate)).bit_length()


def _made(samples: NDArray[np.floating], like: Waveform) -> Waveform:
    return Waveform(np.ascontiguousarray(samples, dtype=np.float32), like.sample_rate)
