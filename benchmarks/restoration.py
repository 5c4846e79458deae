"""How fast the demo's model restores: real-time factor by solver steps, and how its cost grows with length.

Run `uv run audiobuff demo` first, then `uv run python benchmarks/restoration.py`.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.files import write_json
from audiobuff_core.inference.restorer import Restorer

STEPS = (1, 2, 4, 8, 16)
LENGTHS_SECONDS = (5, 10, 20, 40)
REPEATS = 3


def recording(seconds: float) -> Waveform:
    """The bundled damaged loop, repeated to `seconds`."""
    loop = read_audio(corpus_folder() / "inbox" / "damaged_loop.flac").mono()
    num_samples = round(seconds * loop.sample_rate)
    return Waveform(np.resize(loop.samples[0], num_samples)[None], loop.sample_rate)


def best_seconds(restorer: Restorer, waveform: Waveform, steps: int) -> float:
    """The shortest of a few restorations."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        restorer.restore(waveform, steps=steps)
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="audiobuff_demo/checkpoint", help="export folder (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/restoration.json"))
    arguments = parser.parse_args()
    restorer = Restorer.load(arguments.model)
    ten = recording(10.0)
    restorer.restore(ten, steps=1)  # warm
    by_steps = {str(steps): ten.duration_seconds / best_seconds(restorer, ten, steps) for steps in STEPS}
    by_length = {str(length): best_seconds(restorer, recording(length), 2) / length for length in LENGTHS_SECONDS}
    shortest = by_length[str(LENGTHS_SECONDS[0])]
    growth = {length: cost / shortest for length, cost in by_length.items()}
    for steps, factor in by_steps.items():
        print(f"{steps:>3} steps: {factor:6.1f} x real time")
    for length, ratio in growth.items():
        print(f"{length:>3} s of audio: {ratio:5.2f} of the cost a second of {LENGTHS_SECONDS[0]} s")
    write_json(arguments.out, {"real_time_factor": by_steps, "cost_a_second": growth, "model": restorer.identity})


if __name__ == "__main__":
    main()
