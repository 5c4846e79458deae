"""A wrong tone: tilted, bumpy, shelved, notched, or heard through a telephone or laptop."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import sosfilt, sosfreqz

from audiobuff_core.degradation.align import aligned
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

LOWEST_HZ = 20.0
CENTER_HZ = 1000.0
MOST_DELAY_SECONDS = 0.005
# Response in dB at frequencies in Hz, straight lines on a logarithmic axis between them.
DEVICES: dict[str, tuple[tuple[float, float], ...]] = {
    "phone": ((100, -40), (250, -14), (350, 0), (900, 0), (2200, 5), (3200, 0), (3800, -20), (6000, -45)),
    "laptop": ((80, -36), (200, -18), (400, -4), (900, 4), (2500, 0), (4500, 6), (9000, -2), (16000, -14)),
    "small_speaker": ((60, -30), (150, -8), (250, 3), (1200, -3), (3000, 2), (8000, -4), (15000, -16)),
    "headset": ((80, -20), (160, -4), (600, 0), (1800, 3), (3400, 4), (6500, -8), (8000, -30)),
}


def apply(samples: Samples, sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] with the response that `mode` names.

    `tilt`: `slope_db_per_octave` around 1 kHz; `peaks`: `num_peaks` bells, bell k at `peak_hz_k` of `peak_db_k` and Q
    `quality_k`; `shelf`: `gain_db` below (`side` low) or above (high) `corner_hz`; `notch`: `depth_db` lower at
    `notch_hz` with Q `quality`; `device`: the curve of `device` times `amount`. Tilts and devices have no phase; the
    others are the biquads of the Audio EQ Cookbook. What lies at or above 0.49 of the rate is left out.
    """
    mode = str(parameters["mode"])
    if mode in ("tilt", "device"):
        return _zero_phase(samples, sample_rate, parameters)
    sections = _sections(sample_rate, parameters)
    if not sections:
        return samples
    filtered = np.asarray(sosfilt(np.array(sections), samples, axis=-1))
    filtered = filtered.astype(samples.dtype, copy=False)
    return aligned(samples, filtered, most_samples=max(1, int(MOST_DELAY_SECONDS * sample_rate)))


def response_db(hertz: Samples, parameters: Parameters) -> Samples:
    """The wanted response in dB of a `tilt` or `device` at frequencies in Hz."""
    octaves = np.log2(np.maximum(hertz, LOWEST_HZ) / CENTER_HZ)
    if parameters["mode"] == "tilt":
        return np.asarray(float(parameters["slope_db_per_octave"]) * octaves)
    curve = np.array(DEVICES[str(parameters["device"])])
    levels = np.interp(octaves, np.log2(curve[:, 0] / CENTER_HZ), curve[:, 1])
    return np.asarray(float(parameters["amount"]) * levels)


def equaliser_response(hertz: Samples, sample_rate: int, parameters: Parameters) -> NDArray[np.complex128]:
    """The complex response of any mode at frequencies in Hz, but for the delay that is taken off."""
    if parameters["mode"] in ("tilt", "device"):
        return np.asarray(10.0 ** (response_db(hertz, parameters) / 20.0), dtype=np.complex128)
    sections = _sections(sample_rate, parameters)
    if not sections:
        return np.ones(len(hertz), dtype=np.complex128)
    return np.asarray(sosfreqz(np.array(sections), worN=hertz, fs=sample_rate)[1], dtype=np.complex128)


def _zero_phase(samples: Samples, sample_rate: int, parameters: Parameters) -> Samples:
    num_samples = samples.shape[1]
    num_points = 1 << (num_samples + sample_rate // 10).bit_length()  # room for what rings over the ends
    hertz = np.asarray(np.fft.rfftfreq(num_points, 1.0 / sample_rate), dtype=np.float64)
    gains = 10.0 ** (response_db(hertz, parameters) / 20.0)
    return np.asarray(np.fft.irfft(np.fft.rfft(samples, num_points) * gains, num_points)[:, :num_samples])


def _sections(sample_rate: int, parameters: Parameters) -> list[list[float]]:
    mode = str(parameters["mode"])
    if mode == "peaks":
        bells = [
            tuple(float(parameters[f"{name}_{place}"]) for name in ("peak_hz", "peak_db", "quality"))
            for place in range(1, int(parameters["num_peaks"]) + 1)
        ]
        return [peaking(hz, db, quality, sample_rate) for hz, db, quality in bells if hz < 0.49 * sample_rate]
    if mode == "notch":
        notch_hz, depth_db = float(parameters["notch_hz"]), float(parameters["depth_db"])
        inside = notch_hz < 0.49 * sample_rate
        return [peaking(notch_hz, -depth_db, float(parameters["quality"]), sample_rate)] if inside else []
    corner_hz = float(parameters["corner_hz"])
    if corner_hz >= 0.49 * sample_rate:
        return []
    return [shelf(str(parameters["side"]), corner_hz, float(parameters["gain_db"]), sample_rate)]


def peaking(center_hz: float, gain_db: float, quality: float, sample_rate: int) -> list[float]:
    """A second-order section (b, a): a bell of `gain_db` at `center_hz`."""
    amplitude = 10.0 ** (gain_db / 40.0)
    omega = 2.0 * math.pi * center_hz / sample_rate
    alpha = math.sin(omega) / (2.0 * quality)
    middle = -2.0 * math.cos(omega)
    section = [1.0 + alpha * amplitude, middle, 1.0 - alpha * amplitude]
    section += [1.0 + alpha / amplitude, middle, 1.0 - alpha / amplitude]
    return [value / section[3] for value in section]


def shelf(side: str, corner_hz: float, gain_db: float, sample_rate: int) -> list[float]:
    """A second-order section (b, a): `gain_db` below (low) or above (high) `corner_hz`, half of it there; slope 1."""
    amplitude = 10.0 ** (gain_db / 40.0)
    omega = 2.0 * math.pi * corner_hz / sample_rate
    root = 2.0 * math.sqrt(amplitude) * math.sin(omega) / 2.0 * math.sqrt(2.0)
    # A high shelf is a low one with the cosine turned round.
    turned = math.cos(omega) if side == "low" else -math.cos(omega)
    up, down = amplitude + 1.0, amplitude - 1.0
    sign = 1.0 if side == "low" else -1.0
    section = [
        amplitude * (up - down * turned + root),
        sign * 2.0 * amplitude * (down - up * turned),
        amplitude * (up - down * turned - root),
        up + down * turned + root,
        sign * -2.0 * (down + up * turned),
        up + down * turned - root,
    ]
    return [value / section[3] for value in section]
