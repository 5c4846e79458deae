"""How severe each fault may be: one function a fault draws its parameters. Nothing here looks at the audio.

Ranges after the original's recipe and after what public restoration systems train on.
"""

import math
from collections.abc import Callable

import numpy as np

Parameters = dict[str, float | int | str]
Draw = Callable[[np.random.Generator], Parameters]

BANDWIDTHS_HZ = (2000, 4000, 8000, 11025, 16000)
FILTER_FAMILIES = ("sinc", "polyphase", "butterworth", "chebyshev", "elliptic", "bessel", "stft_mask")
MP3_BIT_RATES = (24_000, 32_000, 40_000, 48_000, 56_000, 64_000, 80_000, 96_000, 112_000, 128_000)


def _uniform(generator: np.random.Generator, low: float, high: float) -> float:
    """Uniform, rounded to what a reader of the table can use."""
    return round(float(generator.uniform(low, high)), 5)


def _log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    return round(math.exp(float(generator.uniform(math.log(low), math.log(high)))), 5)


def filters(_generator: np.random.Generator) -> Parameters:
    """The original's band: high-pass 200 Hz, low-pass 8 kHz, always."""
    return {"highpass_hz": 200.0, "lowpass_hz": 8000.0, "quality": 0.7071}


def overdrive(generator: np.random.Generator) -> Parameters:
    """The original's drive, 1.5 to 3, then a hard clip at full scale."""
    return {"drive": _uniform(generator, 1.5, 3.0), "limit": 1.0, "before": "peak_to_1", "after": "undo_drive"}


def white_noise(generator: np.random.Generator) -> Parameters:
    """The original's noise: white, 10 to 25 dB SNR."""
    return {"color": "white", "snr_db": _uniform(generator, 10.0, 25.0)}


def noise(generator: np.random.Generator) -> Parameters:
    """Noise of any colour, -5 to 20 dB SNR, now and then (p .15) as faint as 40 dB."""
    faint = generator.random() < 0.15
    snr_db = _uniform(generator, 20.0, 40.0) if faint else _uniform(generator, -5.0, 20.0)
    color = str(generator.choice(["white", "pink", "brown", "blue", "slope", "band"]))
    parameters: Parameters = {"color": color, "snr_db": snr_db}
    if color == "slope":
        parameters["slope_db_per_octave"] = _uniform(generator, -6.0, 6.0)
    if color == "band":
        parameters["low_hz"] = _log_uniform(generator, 50.0, 2000.0)
        parameters["high_hz"] = round(float(parameters["low_hz"]) * _uniform(generator, 1.5, 8.0), 3)
    return parameters


def hum(generator: np.random.Generator) -> Parameters:
    """Mains hum: 50 or 60 Hz within 0.5 %, drift included; up to 10 harmonics; the first at -60 to -25 dBFS."""
    return {
        "mains_hz": int(generator.choice([50, 60])),
        "offset_share": _uniform(generator, -0.003, 0.003),
        "drift_share": _uniform(generator, 0.0, 0.002),
        "drift_hz": _uniform(generator, 0.02, 0.3),
        "num_harmonics": int(generator.integers(1, 11)),
        "level_dbfs": _uniform(generator, -60.0, -25.0),
    }


def clicks(generator: np.random.Generator) -> Parameters:
    """Clicks and pops: 0.2 to 30 a second, 0.1 to 3 ms, 6 to 30 dB over the music around them."""
    return {
        "rate_hz": _log_uniform(generator, 0.2, 30.0),
        "shortest_ms": 0.1,
        "longest_ms": _log_uniform(generator, 0.3, 3.0),
        "lowest_db": _uniform(generator, 6.0, 15.0),
        "highest_db": _uniform(generator, 15.0, 30.0),
    }


def clipping(generator: np.random.Generator) -> Parameters:
    """Hard clipping at quantiles or at a share of the peak, or soft clipping by a driven tanh."""
    mode = str(generator.choice(["quantile", "peak", "soft"]))
    if mode == "quantile":
        return {
            "mode": mode,
            "low_quantile": _uniform(generator, 0.0, 0.1),
            "high_quantile": _uniform(generator, 0.9, 1.0),
        }
    if mode == "peak":
        return {"mode": mode, "peak_divisor": int(generator.choice([2, 3, 5]))}
    return {"mode": mode, "drive": _uniform(generator, 1.5, 8.0)}


def band_limit(generator: np.random.Generator) -> Parameters:
    """A band edge, made by a filter of any family: one fixed filter would teach its own edge."""
    family = str(generator.choice(FILTER_FAMILIES))
    parameters: Parameters = {"bandwidth_hz": int(generator.choice(BANDWIDTHS_HZ)), "family": family}
    if family in ("butterworth", "chebyshev", "elliptic", "bessel"):
        lowest = 3 if family == "elliptic" else 1 if family == "chebyshev" else 2
        parameters["order"] = int(generator.integers(lowest, 12 if family == "chebyshev" else 9))
    if family in ("chebyshev", "elliptic"):
        parameters["ripple_db"] = _uniform(generator, 0.05, 1.0)
    return parameters


def gaps(generator: np.random.Generator) -> Parameters:
    """Lost packets of 20 ms, 5 to 25 % of them and at most 10 in a row, or one to three gaps of 0.1 to 1.6 s."""
    if generator.random() < 0.5:
        return {
            "mode": "packets",
            "packet_ms": 20,
            "lost_share": _uniform(generator, 0.05, 0.25),
            "mean_burst": _uniform(generator, 1.0, 4.0),
            "longest_burst": 10,
        }
    return {
        "mode": "gaps",
        "num_gaps": int(generator.integers(1, 4)),
        "gap_seconds": _log_uniform(generator, 0.1, 1.6),
        "most_share": 0.5,
    }


def mp3(generator: np.random.Generator) -> Parameters:
    """One to three generations of MP3 at a constant 24 to 128 kbit/s."""
    return {"bit_rate": int(generator.choice(MP3_BIT_RATES)), "generations": int(generator.integers(1, 4))}


def reverb(generator: np.random.Generator) -> Parameters:
    """A room 2 to 20 m long with an RT60 of 0.1 to 2 s, source and microphone anywhere in it."""
    places = {
        f"{what}_{axis}": _uniform(generator, 0.15, 0.85)
        for what in ("source", "microphone")
        for axis in ("x", "y", "z")
    }
    return {
        "rt60_seconds": _log_uniform(generator, 0.1, 2.0),
        "length_m": _log_uniform(generator, 2.0, 20.0),
        "width_m": _log_uniform(generator, 2.0, 20.0),
        "height_m": _log_uniform(generator, 2.0, 6.0),
        **places,
    }
