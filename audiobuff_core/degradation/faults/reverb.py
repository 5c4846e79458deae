"""A room: image sources for the early reflections, a stochastic tail after them."""

import functools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.float64]

SPEED_OF_SOUND = 343.0
HIGHEST_ORDER = 10
NEAREST_METRES = 0.3
EAR_SPACING_METRES = 0.18


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
    """The response [samples] from the direct sound on, 1.2 RT60 long, whose reverberation falls 60 dB in RT60.

    Allen and Berkley (1979) for reflections to order 10, walls of one absorption after Eyring; from the time the
    tenth order begins, Gaussian noise under the same decay takes over.
    """
    room = np.array([float(parameters[name]) for name in ("length_m", "width_m", "height_m")])
    source = room * [float(parameters[f"source_{axis}"]) for axis in "xyz"]
    microphone = room * [float(parameters[f"microphone_{axis}"]) for axis in "xyz"]
    microphone[0] = min(microphone[0] + EAR_SPACING_METRES * channel, room[0])
    rt60_seconds = float(parameters["rt60_seconds"])
    metres, amplitudes = _images(room, source, microphone, rt60_seconds)
    delays = np.round((metres - metres[0]) / SPEED_OF_SOUND * sample_rate).astype(np.int64)
    num_samples = max(1, int(1.2 * rt60_seconds * sample_rate))
    response = np.zeros(num_samples)
    inside = delays < num_samples
    np.add.at(response, delays[inside], amplitudes[inside] / amplitudes[0])
    return _with_tail(response, room, rt60_seconds, sample_rate, generator)


def _images(room: Samples, source: Samples, microphone: Samples, rt60_seconds: float) -> tuple[Samples, Samples]:
    """Distances in metres and amplitudes of the image sources, the direct path first."""
    cells = _cells()
    images = cells * room + np.where(cells % 2 == 0, source, room - source)
    metres = np.maximum(np.linalg.norm(images - microphone, axis=1), NEAREST_METRES)
    length, width, height = room
    surface = 2.0 * (length * width + length * height + width * height)
    volume = length * width * height
    # Eyring: RT60 = 24 ln 10 V / (-c S ln(1 - a)); walls reflect sqrt(1 - a) of the pressure.
    reflection = math.exp(-0.5 * 24.0 * math.log(10.0) * volume / (SPEED_OF_SOUND * surface * rt60_seconds))
    amplitudes = reflection ** np.abs(cells).sum(axis=1) / metres
    order = np.argsort(np.abs(cells).sum(axis=1), kind="stable")
    return metres[order], amplitudes[order]


@functools.cache
def _cells() -> NDArray[np.int64]:
    """Mirror rooms [cells, 3] reached by at most ten reflections."""
    axis = np.arange(-HIGHEST_ORDER, HIGHEST_ORDER + 1)
    cells = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(cells[np.abs(cells).sum(axis=1) <= HIGHEST_ORDER])


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
