"""Make other recordings out of clips: played faster or slower, in another tone, some with another clip behind them.

    uv run python corpus/vary.py --of ~/corpus/clips --to ~/corpus/varied --seed 1

A few hundred recordings are soon known by heart; at another speed every pitch, formant and attack of them is new.
The result is as clean as the clips are. Textures are drawn by rule (`corpus/textures.py`): draw others instead.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy import signal

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.resample import resample, resample_like
from audiobuff_core.audio.waveform import Samples, Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.degradation.faults.eq import shelf
from audiobuff_core.errors import AudioBuffError, AudioNotFound
from audiobuff_core.progress import show_progress, track
from audiobuff_core.seeding import numpy_generator

SLOWEST, FASTEST = 0.7, 1.4
MOST_DB = 6.0
BASS_HZ, TREBLE_HZ = (100.0, 400.0), (2000.0, 8000.0)
MIXED_SHARE = 0.4
MIXED_DB = (-15.0, 0.0)
PEAK = (0.1, 0.9)


def played_at(waveform: Waveform, speed: float) -> Waveform:
    """`waveform` played `speed` times as fast, at its own sample rate: pitch and tempo change together."""
    faster = Waveform(waveform.samples, round(waveform.sample_rate * speed))
    return resample(faster, waveform.sample_rate)


def in_another_tone(waveform: Waveform, generator: np.random.Generator) -> Waveform:
    """`waveform` with bass and treble turned up or down by at most 6 dB."""
    sections = [
        shelf(side, between(generator, corners), generator.uniform(-MOST_DB, MOST_DB), waveform.sample_rate)
        for side, corners in (("low", BASS_HZ), ("high", TREBLE_HZ))
    ]
    return Waveform(signal.sosfilt(sections, waveform.samples).astype(np.float32), waveform.sample_rate)


def between(generator: np.random.Generator, ends: tuple[float, float]) -> float:
    """Drawn evenly on a logarithmic scale."""
    return float(np.exp(generator.uniform(*np.log(ends))))


def mixed(waveform: Waveform, other: Waveform, level_db: float) -> Waveform:
    """`waveform` with `other` behind it, from its beginning, `level_db` louder; one of the two may be silence."""
    behind = resample_like(other, waveform).samples
    ratio = _rms(waveform.samples) / max(_rms(behind), 1e-9) * 10 ** (level_db / 20)
    return Waveform((waveform.samples + ratio * behind).astype(np.float32), waveform.sample_rate)


def varied(path: Path, others: list[Path], seed: int, seconds: float) -> Waveform:
    """Another recording, made of the one at `path`, and of one of `others` at times; the same for the same seed."""
    generator = numpy_generator("varied clip", seed, path.parent.name, path.stem)
    waveform = played_at(read_audio(path).mono(), between(generator, (SLOWEST, FASTEST)))
    if generator.random() < MIXED_SHARE:
        other = read_audio(others[int(generator.integers(len(others)))]).mono()
        other = played_at(other, between(generator, (SLOWEST, FASTEST)))
        waveform = mixed(waveform, other, generator.uniform(*MIXED_DB))
    samples = in_another_tone(waveform, generator).samples[:, : round(seconds * waveform.sample_rate)]
    return Waveform(
        samples * (between(generator, PEAK) / max(float(np.abs(samples).max()), 1e-9)), waveform.sample_rate
    )


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


def main() -> int:
    """Read the flags, vary every clip once, say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", type=Path, required=True, help="folder of kinds: music, voice, effect")
    parser.add_argument("--to", type=Path, required=True, help="folder for the others")
    parser.add_argument("--seconds", type=float, default=12.0, help="longest clip (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        clips = [path for path in sorted(arguments.of.glob("*/*.flac")) if path.parent.name != "texture"]
        if not clips:
            raise AudioNotFound(f"No KIND/*.flac under {arguments.of}: make clips there by corpus/cut.py")
        with show_progress():
            for path in track(clips, "Varying"):
                target = arguments.to / path.parent.name / f"{path.stem}_s{arguments.seed}.flac"
                if not target.exists():
                    write_audio(target, varied(path, clips, arguments.seed, arguments.seconds))
    except AudioBuffError as error:
        print(f"vary.py: {error}", file=sys.stderr)
        return 1
    print(f"{len(clips)} clips in {arguments.to}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
