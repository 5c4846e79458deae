"""Clean recordings, and blocks of them with low noise over them: wind, steady noise, and what others are there for."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from audiobuff_core.audio.read import read_audio
from audiobuff_core.degradation.faults import hum, noise, rumble, wind
from audiobuff_core.errors import AudioNotFound
from audiobuff_core.progress import track
from audiobuff_core.treatment.low_noise import ANALYSIS_RATE

Sound = NDArray[np.float64]
BLOCK = 8 * ANALYSIS_RATE
SPEEDS = (0.75, 1.33)
WINDY, NOISY, HUMMING, RUMBLING, CLIPPED, TORN = 0.45, 0.4, 0.2, 0.1, 0.2, 0.15
COLORS = ("white", "pink", "brown", "slope", "band")


@dataclass(frozen=True, slots=True)
class Recording:
    """A clean one at the rate of the lesson, [samples], and the mean power of all its frequencies."""

    name: str
    samples: NDArray[np.float16]
    power: float


@dataclass(frozen=True, slots=True)
class Example:
    """A block of a recording with what happened to it, the same without low noise, [samples], and its power."""

    damaged: Sound
    wanted: Sound
    power: float


def recordings_of(folder: Path, rate: int) -> list[Recording]:
    """All under KIND/*.flac that are no silence and last two seconds, at `rate`.

    Raises:
        AudioNotFound: there are none.
    """
    found = []
    for path in track(sorted(folder.glob("*/*.flac")), "Reading"):
        whole = read_audio(path).mono()
        power = float(np.square(whole.samples, dtype=np.float64).mean())
        if whole.duration_seconds >= 2 and power > 1e-8:
            samples = soxr.resample(whole.samples[0], whole.sample_rate, rate)
            found.append(Recording(path.stem.rsplit("_", 1)[0], np.asarray(samples, np.float16), power))
    if not found:
        raise AudioNotFound(f"No KIND/*.flac under {folder}: make clips there by corpus/cut.py")
    return found


def between(generator: np.random.Generator, least: float, most: float) -> float:
    """Drawn evenly on a logarithmic scale."""
    return float(np.exp(generator.uniform(np.log(least), np.log(most))))


def example_of(recording: Recording, generator: np.random.Generator) -> Example:
    """A block of it at another speed, damaged."""
    places = np.arange(0, len(recording.samples) - 1, between(generator, *SPEEDS))
    block = np.interp(places, np.arange(len(recording.samples)), recording.samples)
    first = int(generator.integers(0, max(1, len(block) - BLOCK)))
    block = np.pad(block[first : first + BLOCK], (0, max(0, BLOCK - len(block))))
    power = max(recording.power, float(np.square(block).mean()))
    wanted = with_other_faults(block[None], generator)[0]
    added = np.zeros(len(block))
    if generator.random() < WINDY:
        added, duck = gusts(len(block), power, generator)
        wanted = wanted * duck
    if generator.random() < NOISY:
        added = added + steady_noise(block, generator)
    damaged = wanted + added
    if generator.random() < CLIPPED:
        most = float(np.quantile(np.abs(damaged), generator.uniform(0.9, 0.999)))
        damaged = damaged.clip(-most, most)
    if generator.random() < TORN:
        there = np.ones(len(block))
        for begin in generator.integers(0, len(block), generator.integers(1, 8)):
            there[begin : begin + round(ANALYSIS_RATE * generator.uniform(0.02, 0.3))] = 0
        damaged, wanted = damaged * there, wanted * there
    return Example(damaged, wanted, power)


def gusts(length: int, power: float, generator: np.random.Generator) -> tuple[Sound, Sound]:
    """Wind beside a sound of `power`, [length], and what it does to the sound's level, as `faults.wind` has both."""
    corner_hz = between(generator, 60.0, 600.0 if generator.random() < 0.3 else 400.0)
    parameters = {
        "corner_hz": corner_hz, "gusts_hz": between(generator, 0.1, 3.0), "calm_db": generator.uniform(-30.0, -6.0),
        "snr_db": generator.uniform(-13.0, 18.0), "duck_db": 0.0,
    }  # fmt: skip
    beside = np.full((1, length), np.sqrt(power))
    blown = (wind.apply(beside, ANALYSIS_RATE, parameters, generator) - beside)[0]
    if generator.random() < 0.5:
        return blown, np.ones(length)
    half = ANALYSIS_RATE // 2
    level = np.sqrt(np.convolve(np.square(blown), np.ones(half) / half, "same"))
    return blown, 10 ** (-generator.uniform(0.0, 12.0) / 20 * level / (level.max() + 1e-12))


def steady_noise(block: Sound, generator: np.random.Generator) -> Sound:
    """Noise of any colour beside `block`, [samples]."""
    parameters = {
        "color": COLORS[generator.integers(len(COLORS))], "snr_db": generator.uniform(-10.0, 25.0),
        "slope_db_per_octave": generator.uniform(-9.0, 0.0), "low_hz": between(generator, 50.0, 1000.0),
        "high_hz": between(generator, 300.0, 4000.0),
    }  # fmt: skip
    return (noise.apply(block[None], ANALYSIS_RATE, parameters, generator) - block)[0]


def with_other_faults(sound: Sound, generator: np.random.Generator) -> Sound:
    """`sound` [1, samples] with what other treatments are there for."""
    level_db = 10 * np.log10(float(np.square(sound).mean()) + 1e-9)
    if generator.random() < HUMMING:
        given = {
            "mains_hz": int(generator.choice([50, 60])), "offset_share": generator.uniform(-0.004, 0.004),
            "drift_share": generator.uniform(0.0, 0.002), "drift_hz": generator.uniform(0.02, 0.3),
            "num_harmonics": int(generator.integers(1, 11)), "level_dbfs": level_db + generator.uniform(-30.0, 0.0),
        }  # fmt: skip
        sound = hum.apply(sound, ANALYSIS_RATE, given, generator)
    if generator.random() < RUMBLING:
        given = {
            "center_hz": between(generator, 20.0, 60.0), "width_hz": generator.uniform(4.0, 20.0),
            "snr_db": generator.uniform(0.0, 20.0),
        }  # fmt: skip
        sound = rumble.apply(sound, ANALYSIS_RATE, given, generator)
    return sound
