"""Cut a corpus into short clips, so that every few seconds are damaged in another way.

    uv run python corpus/cut.py --of ~/corpus/audio --to ~/corpus/clips

Long music gives a few clips, evenly spread; everything else is cut whole. Run it again: clips that are there stay.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.errors import AudioBuffError, AudioNotFound
from audiobuff_core.progress import show_progress, track

SHORTEST_SHARE = 0.4


def clip_starts(seconds: float, clip_seconds: float, most: int | None) -> list[float]:
    """Where the clips of a recording begin: end to end, or `most` of them, evenly spread."""
    count = max(1, int(seconds / clip_seconds + 1 - SHORTEST_SHARE))
    if most is None or count <= most:
        return [index * clip_seconds for index in range(count)]
    return [float(start) for start in np.linspace(0, seconds - clip_seconds, most)]


def cut(path: Path, to: Path, clip_seconds: float, most: int | None) -> int:
    """Write the clips of the recording at `path`; how many it has."""
    waveform = read_audio(path)
    starts = clip_starts(waveform.duration_seconds, clip_seconds, most)
    for index, start in enumerate(starts):
        target = to / path.parent.name / f"{path.stem}_{index:02d}.flac"
        if not target.exists():
            first = round(start * waveform.sample_rate)
            last = first + round(clip_seconds * waveform.sample_rate)
            write_audio(target, Waveform(waveform.samples[:, first:last].copy(), waveform.sample_rate))
    return len(starts)


def main() -> int:
    """Read the flags, cut, say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", type=Path, required=True, help="folder of kinds: music, voice, effect")
    parser.add_argument("--to", type=Path, required=True, help="folder for the clips")
    parser.add_argument("--seconds", type=float, default=12.0, help="of a clip (default: %(default)s)")
    parser.add_argument("--most", type=int, default=5, help="clips of a piece of music (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        recordings = sorted(arguments.of.glob("*/*.flac"))
        if not recordings:
            raise AudioNotFound(f"No KIND/*.flac under {arguments.of}: make a corpus there by corpus/fetch.py")
        with show_progress():
            counts = [
                cut(path, arguments.to, arguments.seconds, arguments.most if path.parent.name == "music" else None)
                for path in track(recordings, "Cutting")
            ]
    except AudioBuffError as error:
        print(f"cut.py: {error}", file=sys.stderr)
        return 1
    print(f"{sum(counts)} clips of {len(counts)} recordings in {arguments.to}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
