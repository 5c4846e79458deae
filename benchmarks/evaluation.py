"""What measuring costs: seconds a metric a minute of audio, and the whole table on 40 items of five seconds.

uv run python benchmarks/evaluation.py [--items 40] [--seconds 5] [--systems 1] [--processes 2] [--json out.json]

Sounds are made here. A metric is timed in this process with one thread, on one item and its damaged copy at 44.1 kHz,
of an input that lost its high band, with a pause at the end, so that every metric has something to measure; packages
are loaded and compiled before. The table has the damaged input, the systems and the ceiling as rows, every
metric that is installed, and items in parallel processes with one thread each, as `audiobuff evaluate` does. It is
claimed to take at most five minutes on two cores.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402 - threads are counted when it is imported

from audiobuff_core.audio.waveform import Waveform  # noqa: E402
from audiobuff_core.audio.write import write_audio  # noqa: E402
from audiobuff_core.errors import NotMeasurable  # noqa: E402
from audiobuff_core.evaluation.evaluation import evaluate  # noqa: E402
from audiobuff_core.evaluation.metrics.protocol import Comparison, Signal  # noqa: E402
from audiobuff_core.evaluation.metrics.registry import METRICS  # noqa: E402
from audiobuff_core.evaluation.pairs import System  # noqa: E402
from audiobuff_core.files import write_json  # noqa: E402
from audiobuff_core.seeding import numpy_generator  # noqa: E402

RATE = 44_100
CLAIMED_SECONDS = 300.0


def sound(index: int, seconds: float) -> np.ndarray:
    """Decaying notes with pauses over a little noise, another one for each index."""
    generator = numpy_generator("benchmark", index)
    times = np.arange(round(seconds * RATE)) / RATE
    made = generator.normal(0, 3e-4, times.shape)
    for start in np.arange(0, seconds, 0.4):
        age = np.clip(times - start, 0, None)
        hertz = generator.uniform(110, 880)
        note = sum(np.sin(2 * np.pi * number * hertz * age) / number for number in range(1, 12))
        made += 0.08 * note * np.exp(-4 * age) * (age > 0)
    return made


def damaged(clean: np.ndarray, index: int) -> np.ndarray:
    """The same under noise at 15 dB."""
    rms = np.sqrt(np.mean(clean**2))
    return clean + numpy_generator("hiss", index).normal(0, rms * 10 ** (-15 / 20), clean.shape)


def band_cut(samples: np.ndarray) -> np.ndarray:
    """Without anything above 8 kHz."""
    spectrum = np.fft.rfft(samples)
    spectrum[np.fft.rfftfreq(len(samples), 1 / RATE) > 8_000] = 0
    return np.fft.irfft(spectrum, len(samples))


def as_wave(samples: np.ndarray) -> Waveform:
    return Waveform(samples.astype(np.float32)[None], RATE)


def time_metrics(seconds: float) -> dict[str, Any]:
    """Metric to seconds a minute of audio of one comparison, or the reason why it has no figure."""
    clean = sound(0, seconds)
    clean[-RATE // 2 :] = 0.0
    degraded, estimate = band_cut(damaged(clean, 0)), damaged(clean, 1)
    found: dict[str, Any] = {}
    for name, metric in METRICS.items():
        if metric.missing:
            found[name] = f"lacks {', '.join(metric.missing)}"
            continue
        for _ in range(2):  # the first loads and compiles
            signals = [Signal(as_wave(one)) for one in (clean, estimate, degraded)]
            started = time.perf_counter()
            try:
                metric.measure(Comparison(*signals))
                found[name] = (time.perf_counter() - started) * 60 / seconds
            except NotMeasurable as error:
                found[name] = str(error)
    return found


def time_table(num_items: int, seconds: float, num_systems: int, processes: int) -> float:
    """Seconds that the whole table takes, from files to scores."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        systems = [System(f"system_{number}", folder / f"system_{number}") for number in range(num_systems)]
        for index in range(num_items):
            clean = sound(index, seconds)
            for place, samples in (("clean", clean), ("degraded", damaged(clean, index))):
                write_audio(folder / place / f"{index}.wav", as_wave(samples))
            for number, system in enumerate(systems):
                write_audio(system.folder / f"{index}.wav", as_wave(damaged(clean, 1000 * (number + 1) + index)))
        started = time.perf_counter()
        evaluate(folder / "clean", folder / "degraded", systems, processes=processes)
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--systems", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    metrics = time_metrics(options.seconds)
    print("Seconds a minute of audio, one thread:")
    for name, cost in metrics.items():
        print(f"  {name:20} {cost if isinstance(cost, str) else f'{cost:8.2f}'}")
    table = time_table(options.items, options.seconds, options.systems, options.processes)
    share = table / CLAIMED_SECONDS
    print(
        f"Whole table: {options.items} items of {options.seconds:g} s, {options.systems} system(s) between floor and "
        f"ceiling, {options.processes} processes: {table:.1f} s, {share:.2f} of the five minutes claimed for 40 items"
    )
    if options.json:
        facts = {name: value for name, value in vars(options).items() if name != "json"}
        write_json(options.json, {"metrics": metrics, "table_seconds": table, **facts, "cores": os.cpu_count()})


if __name__ == "__main__":
    main()
