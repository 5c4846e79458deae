"""A room: image sources for the early reflections, a stochastic tail after them."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, oaconvolve, sosfilt

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

SPEED_OF_SOUND = 343.0
HIGHEST_ORDER = 10
NEAREST_METRES = 0.3
EAR_SPACING_METRES = 0.18
# A reflection between two samples is a windowed sinc of so many taps, looked up in steps of a twentieth of a sample.
DELAY_TAPS, DELAY_STEPS = 81, 20
# Reflections of rigid walls all have one sign, and add up to 25 dB at 0 Hz, where no source radiates (Allen and Berkley
# filter it out too): second order.
LOWEST_HZ = 20.0
# ISO 3382-1: T30 is the slope of the backward integrated energy from -5 to -35 dB, extended to 60 dB.
FROM_DB, TO_DB = -5.0, -35.0
STEP_SECONDS = 0.00025
ROUNDS = 24


def apply(samples: Samples, sample_rate: int, parameters: Parameters, generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] in the room, each channel by a microphone of its own 18 cm from the last.

    The direct path stands at sample 0 with gain 1, so the dry signal is the aligned target; the tail is cut at the end.
    """
    wet = np.empty_like(samples)
    for channel, dry in enumerate(samples):
        response = impulse_response(parameters, sample_rate, channel, generator)[: samples.shape[1]]
        wet[channel] = oaconvolve(dry, response)[: samples.shape[1]]
    return wet


def impulse_response(parameters: Parameters, sample_rate: int, channel: int, generator: np.random.Generator) -> Samples:
    """The response [samples] from the direct sound on, 1.2 RT60 long, whose reverberation has T30 = `rt60_seconds`.

    Reflections to order 10 by pyroomacoustics (Allen and Berkley, 1979), walls of one absorption after Eyring; from
    the time the tenth order begins, Gaussian noise under the same decay takes over. A room with one long side rings
    longer than Eyring says: what its T30 is off by is made up for by an exponential over all of the reverberation.
    """
    room = np.array([float(parameters[name]) for name in ("length_m", "width_m", "height_m")])
    source = room * [float(parameters[f"source_{axis}"]) for axis in "xyz"]
    microphone = room * [float(parameters[f"microphone_{axis}"]) for axis in "xyz"]
    microphone[0] = min(microphone[0] + EAR_SPACING_METRES * channel, 0.99 * room[0])
    rt60_seconds = float(parameters["rt60_seconds"])
    num_samples = max(1, int(1.2 * rt60_seconds * sample_rate))
    response = _reflections(room, source, microphone, rt60_seconds, sample_rate, num_samples)
    response = _with_tail(response, room, rt60_seconds, sample_rate, generator)
    response[1:] = sosfilt(butter(2, LOWEST_HZ, "highpass", fs=sample_rate, output="sos"), response[1:])
    response[1:] = _with_t30(response[1:], rt60_seconds, sample_rate)
    return response


def _reflections(
    room: Samples, source: Samples, microphone: Samples, rt60_seconds: float, sample_rate: int, num_samples: int
) -> Samples:
    """The direct sound as 1 at sample 0, and the image sources after it, each in its place between the samples."""
    import pyroomacoustics

    length, width, height = room
    surface = 2.0 * (length * width + length * height + width * height)
    # Eyring: RT60 = 24 ln 10 V / (-c S ln(1 - a)), with the absorption a.
    absorption = -math.expm1(-24.0 * math.log(10.0) * room.prod() / (SPEED_OF_SOUND * surface * rt60_seconds))
    shoebox = pyroomacoustics.ShoeBox(
        room, fs=sample_rate, materials=pyroomacoustics.Material(absorption), max_order=HIGHEST_ORDER
    )
    shoebox.add_source(source)
    shoebox.add_microphone(microphone)
    shoebox.image_source_model()
    images = shoebox.sources[0]
    metres = np.maximum(np.linalg.norm(images.images - microphone[:, np.newaxis], axis=0), NEAREST_METRES)
    direct = int(np.argmin(images.orders))
    seconds = (metres - metres[direct]) / SPEED_OF_SOUND
    heard = np.flatnonzero((seconds * sample_rate < num_samples) & (np.arange(len(seconds)) != direct))
    lead = DELAY_TAPS // 2 + 1  # of a reflection at the direct sound itself, and a sample for rounding
    response = np.zeros(num_samples + 2 * lead + 1, dtype=np.float32)
    # Not `compute_rir`: its bits depend on how many threads the machine has. One thread always gives the same.
    if heard.size:
        pyroomacoustics.libroom.rir_builder(
            response,
            (seconds[heard] + lead / sample_rate).astype(np.float32),
            (images.damping[0, heard] / metres[heard] * metres[direct]).astype(np.float32),
            sample_rate,
            DELAY_TAPS,
            DELAY_STEPS,
            1,
        )
    placed = response[lead : lead + num_samples].astype(np.float64)
    placed[0] = 1.0
    return placed


def _with_tail(
    response: Samples, room: Samples, rt60_seconds: float, sample_rate: int, generator: np.random.Generator
) -> Samples:
    """`response` from the first reflections on under the wanted decay, noise where the images end."""
    num_samples = len(response)
    decay = 10.0 ** (-3.0 * np.arange(num_samples) / (rt60_seconds * sample_rate))
    complete_seconds = HIGHEST_ORDER * float(room.min()) / SPEED_OF_SOUND
    start = min(num_samples, max(1, int(complete_seconds * sample_rate)))
    early = response[max(1, start // 2) : start]
    power = float(np.mean(np.square(early))) if early.size else 0.0
    if power > 0.0:
        reference = float(np.mean(np.square(decay[max(1, start // 2) : start])))
        tail = generator.standard_normal(num_samples - start) * decay[start:] * math.sqrt(power / reference)
        response = np.concatenate([response[:start], tail])
    return response


def _with_t30(reverberation: Samples, rt60_seconds: float, sample_rate: int) -> Samples:
    """`reverberation` under the exponential that gives it the wanted T30, found by bisection."""
    step = max(1, round(STEP_SECONDS * sample_rate))
    whole = len(reverberation) // step * step
    energies = np.square(reverberation[:whole]).reshape(-1, step).sum(axis=1)
    step_seconds = step / sample_rate
    seconds = np.arange(len(energies)) * step_seconds
    wanted = -60.0 / rt60_seconds
    found = _slope_db(energies, step_seconds)
    if found == 0.0:
        return reverberation  # a single reflection, or none: a track or room too short to decay
    # Were it a true exponential, the difference would do; slower ones than half as steep end in a cliff.
    difference = wanted - found
    low, high = difference + 0.5 * wanted, difference - 0.5 * wanted
    for _ in range(ROUNDS):
        middle = (low + high) / 2.0
        steeper = _slope_db(energies * 10.0 ** (middle * seconds / 10.0), step_seconds) < wanted
        low, high = (middle, high) if steeper else (low, middle)
    return reverberation * 10.0 ** (middle / 20.0 * np.arange(len(reverberation)) / sample_rate)


def _slope_db(energies: Samples, step_seconds: float) -> float:
    """The fall of the backward integrated energies in dB a second, from -5 to -35 dB; 0 if there is none to see."""
    if not energies.any():
        return 0.0
    left_db = 10.0 * np.log10(np.maximum(np.cumsum(energies[::-1])[::-1], 1e-300))
    fitted = np.flatnonzero((left_db <= left_db[0] + FROM_DB) & (left_db >= left_db[0] + TO_DB))
    if len(fitted) < 2:
        return 0.0
    return float(np.polyfit(fitted * step_seconds, left_db[fitted], 1)[0])
