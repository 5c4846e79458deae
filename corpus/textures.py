"""Make sounds that are noise and are meant to be heard, so that a model learns to leave them: `texture` beside music.

    uv run python corpus/textures.py --to ~/corpus/clips

Wind, water, fire, engines, cymbals and bells, drawn by rule from a seed: recordings of them are rare among free
packages, and without any a model takes the likes of them for noise on a recording.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.degradation.faults.added import shaped_noise, slow_curve
from audiobuff_core.errors import AudioBuffError
from audiobuff_core.progress import show_progress, track

SAMPLE_RATE = 44_100
Sound = NDArray[np.floating]
Drawing = Callable[[int, np.random.Generator], Sound]


def coloured(num_samples: int, generator: np.random.Generator, *, low_hz: float, high_hz: float, tilt: float) -> Sound:
    """Noise between two soft corners, falling `tilt` dB an octave between them; RMS 1."""

    def amplitude(hertz: Sound) -> Sound:
        audible = np.maximum(hertz, 20.0)
        slope = 10.0 ** (-tilt * np.log2(audible / 1000.0) / 20.0)
        return slope / np.sqrt((1.0 + (low_hz / audible) ** 4) * (1.0 + (audible / high_hz) ** 4))

    sound = shaped_noise((1, num_samples), SAMPLE_RATE, amplitude, generator)[0]
    return np.asarray(sound / np.sqrt(np.mean(np.square(sound))))


def between(generator: np.random.Generator, low: float, high: float) -> float:
    """Drawn evenly on a logarithmic scale."""
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def air(num_samples: int, generator: np.random.Generator) -> Sound:
    """Wind, surf, traffic, a room: one or two bands of noise that swell and fade."""
    sound = np.zeros(num_samples)
    for _ in range(int(generator.integers(1, 4))):
        low = between(generator, 20, 2000)
        high, tilt = low * between(generator, 1.5, 30), generator.uniform(-3, 9)
        band = coloured(num_samples, generator, low_hz=low, high_hz=high, tilt=tilt)
        swell_db = generator.uniform(-30, 0) * (
            1.0 - slow_curve(num_samples, SAMPLE_RATE, between(generator, 0.05, 3), generator)
        )
        sound += between(generator, 0.1, 1) * band * 10.0 ** (swell_db / 20.0)
    return sound


def fire(num_samples: int, generator: np.random.Generator) -> Sound:
    """Fire, rain, gravel: many short bursts of many sizes over a bed of noise."""
    sound = between(generator, 0.01, 0.3) * air(num_samples, generator)
    bursts = int(between(generator, 5, 300) * num_samples / SAMPLE_RATE)
    for start in generator.integers(0, num_samples, bursts):
        length = min(num_samples - start, int(between(generator, 0.001, 0.05) * SAMPLE_RATE))
        decay = np.exp(-5.0 * np.arange(length) / max(1, length))
        sound[start : start + length] += generator.standard_exponential() * decay * generator.standard_normal(length)
    return sound


def engine(num_samples: int, generator: np.random.Generator) -> Sound:
    """Motors, fans, machines: a low tone with overtones, turning unevenly, and noise that turns with it."""
    speed = between(generator, 18, 120) * (
        1.0 + generator.uniform(0, 0.5) * slow_curve(num_samples, SAMPLE_RATE, between(generator, 0.05, 1), generator)
    )
    jitter = 1.0 + 0.02 * slow_curve(num_samples, SAMPLE_RATE, 8.0, generator)
    phase = 2.0 * np.pi * np.cumsum(speed * jitter) / SAMPLE_RATE
    tilt = generator.uniform(0.5, 2.0)
    tone = sum(
        np.sin(n * phase + generator.uniform(0, 2 * np.pi)) * generator.uniform(0.2, 1) / n**tilt for n in range(1, 25)
    )
    hiss = air(num_samples, generator) * (1.0 + generator.uniform(0, 0.9) * np.sin(phase))
    return np.asarray(tone + between(generator, 0.05, 2) * hiss)


def strokes(num_samples: int, generator: np.random.Generator) -> Sound:
    """Cymbals, shakers, bells, plates: strokes of noise and of inharmonic tones that ring away into silence."""
    sound = np.zeros(num_samples)
    times = np.arange(num_samples) / SAMPLE_RATE
    low, high = between(generator, 300, 8000), between(generator, 9000, 20_000)
    bright = coloured(num_samples, generator, low_hz=low, high_hz=high, tilt=generator.uniform(-3, 6))
    ringing = sum(
        np.sin(2 * np.pi * between(generator, 200, 9000) * times + generator.uniform(0, 6.3)) * generator.random()
        for _ in range(int(generator.integers(1, 12)))
    )
    noise_share, seconds = generator.random(), between(generator, 0.05, 4)
    for start in generator.integers(0, num_samples, int(generator.integers(1, 14))):
        decay = np.exp(-times[: num_samples - start] / seconds) * generator.uniform(0.1, 1)
        body = noise_share * bright[start:] + (1.0 - noise_share) * np.asarray(ringing)[: num_samples - start]
        sound[start:] += decay * body
    return sound


DRAWINGS: tuple[Drawing, ...] = (air, fire, engine, strokes)


def main() -> int:
    """Read the flags, draw, say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="folder of clips; they go to texture/ in it")
    parser.add_argument("--count", type=int, default=160, help="of clips (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=12.0, help="of a clip (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    num_samples = round(arguments.seconds * SAMPLE_RATE)
    try:
        with show_progress():
            for index in track(range(arguments.count), "Drawing"):
                drawing = DRAWINGS[index % len(DRAWINGS)]
                generator = np.random.default_rng([arguments.seed, index])
                sound = drawing(num_samples, generator)
                sound *= between(generator, 0.05, 0.9) / np.abs(sound).max()
                target = arguments.to / "texture" / f"{drawing.__name__}_{index:04d}.flac"
                write_audio(target, Waveform(sound[np.newaxis].astype(np.float32), SAMPLE_RATE))
    except AudioBuffError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.count} clips in {arguments.to / 'texture'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
