"""How fast recordings are damaged: each kind, the whole recipe, and the kinds that audiomentations has too.

uv run --group bench python benchmarks/degradations.py

Speeds are seconds of audio a second of one core (processor time). A fault and its peer take turns on the same audio at
the same settings in one process; their ratio is the median over the turns, above 1 where audiomentations is slower.
Both are called as bare functions of an array: what `render` adds, that the result is finite and that the row decides
its random numbers, is in the speeds of the kinds alone. MP3 is coded at LAME's
standard quality (3) by both; here with the bit reservoir and joint stereo that ordinary files have, there without.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import hashlib
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.plan import draw_row
from audiobuff_core.degradation.recipe import load_recipe
from audiobuff_core.degradation.render import FAULTS, render
from audiobuff_core.files import write_json
from audiobuff_core.progress import track

SAMPLE_RATE = 44_100
LEAST_RATIO = 1 / 1.2
LEAST_SPEED = 20.0
Options = dict[str, Any]


def thirds_of_peak(samples: np.ndarray) -> Options:
    """Where `Clip` has to cut off to do what our clipping at a third of the peak does."""
    third = float(np.abs(samples).max()) / 3
    return {"a_min": -third, "a_max": third}


# The kind, its parameters, and the transform and options of audiomentations that do the same; options that depend on
# the audio are a function of it, which belongs to the work.
PAIRS: tuple[tuple[str, str, dict[str, Any], str, Options | Callable[[np.ndarray], Options]], ...] = (
    ("white noise", "noise", {"color": "white", "snr_db": 10.0}, "AddGaussianSNR",
     {"min_snr_db": 10.0, "max_snr_db": 10.0}),
    ("coloured noise", "noise", {"color": "pink", "snr_db": 10.0}, "AddColorNoise",
     {"min_snr_db": 10.0, "max_snr_db": 10.0, "min_f_decay": -3.01, "max_f_decay": -3.01}),
    ("room", "reverb", {"rt60_seconds": 0.5, "length_m": 4.0, "width_m": 3.8, "height_m": 2.7,
     "source_x": 0.3, "source_y": 0.4, "source_z": 0.5, "microphone_x": 0.5, "microphone_y": 0.6, "microphone_z": 0.5},
     "RoomSimulator", {"min_size_x": 4.0, "max_size_x": 4.0, "min_size_y": 3.8, "max_size_y": 3.8, "min_size_z": 2.7,
     "max_size_z": 2.7, "calculation_mode": "rt60", "min_target_rt60": 0.5, "max_target_rt60": 0.5, "max_order": 10,
     "use_ray_tracing": False, "leave_length_unchanged": True}),
    ("low-pass", "band_limit", {"bandwidth_hz": 4000, "family": "butterworth", "order": 4}, "LowPassFilter",
     {"min_cutoff_freq": 4000, "max_cutoff_freq": 4000, "min_rolloff": 24, "max_rolloff": 24}),
    ("shelf", "eq", {"mode": "shelf", "side": "low", "corner_hz": 400.0, "gain_db": 9.0}, "LowShelfFilter",
     {"min_center_freq": 400, "max_center_freq": 400, "min_gain_db": 9, "max_gain_db": 9}),
    ("bell", "eq", {"mode": "notch", "notch_hz": 1500.0, "depth_db": 12.0, "quality": 2.0}, "PeakingFilter",
     {"min_center_freq": 1500, "max_center_freq": 1500, "min_gain_db": -12, "max_gain_db": -12, "min_q": 2,
      "max_q": 2}),
    ("seven bells", "eq", {"mode": "peaks", "num_peaks": 7, **{f"{name}_{place}": value for place in range(1, 8)
     for name, value in (("peak_hz", 60.0 * 2**place), ("peak_db", 6.0), ("quality", 1.0))}},
     "SevenBandParametricEQ", {}),
    ("quantile clipping", "clipping", {"mode": "quantile", "low_quantile": 0.05, "high_quantile": 0.95},
     "ClippingDistortion", {"min_percentile_threshold": 10, "max_percentile_threshold": 10}),
    ("peak clipping", "clipping", {"mode": "peak", "peak_divisor": 3}, "Clip", thirds_of_peak),
    ("soft clipping", "clipping", {"mode": "soft", "drive": 4.0}, "TanhDistortion", {}),
    ("few bits", "bit_depth", {"bits": 8, "dither": "none"}, "BitCrush", {"min_bit_depth": 8, "max_bit_depth": 8}),
    ("aliasing", "rate_crush", {"rate_hz": 10_000, "output": "hold"}, "Aliasing",
     {"min_sample_rate": 10_000, "max_sample_rate": 10_000}),
    ("limiter", "compressor", {"threshold_db": -20.0, "ratio": 45.0, "attack_ms": 5.0, "release_ms": 100.0,
     "makeup": "none"}, "Limiter", {"min_threshold_db": -20, "max_threshold_db": -20}),
    ("gap", "gaps", {"mode": "gaps", "num_gaps": 1, "gap_seconds": 1.0, "most_share": 0.5}, "TimeMask",
     {"min_band_part": 0.1, "max_band_part": 0.1}),
    ("polarity", "stereo", {"mode": "polarity", "channel": 0}, "PolarityInversion", {}),
    ("MP3 64 kbit/s", "mp3", {"bit_rate": 64_000, "generations": 1}, "Mp3Compression",
     {"min_bitrate": 64, "max_bitrate": 64, "quality": 3}),
    ("level", "level", {"gain": 0.5, "jitter_db": 0.0, "target": "kept"}, "Gain",
     {"min_gain_db": -6, "max_gain_db": -6}),
)  # fmt: skip


def noise_of_a_folder(folder: Path) -> tuple[str, str, dict[str, Any], str, Options]:
    """The pair whose noise is a recording of half a minute, which is written into `folder`."""
    from audiobuff_core.audio.write import write_audio

    samples = np.random.default_rng(1).normal(0.0, 0.1, (1, 30 * SAMPLE_RATE)).astype(np.float32)
    write_audio(folder / "noise.wav", Waveform(samples, SAMPLE_RATE), subtype="PCM_16")
    file_hash = hashlib.sha256((folder / "noise.wav").read_bytes()).hexdigest()
    row = {"folder": str(folder), "files": json.dumps([["noise.wav", file_hash]]), "voices": 1, "start_share": 0.3}
    theirs = {"sounds_path": str(folder), "min_snr_db": 10.0, "max_snr_db": 10.0}
    return "own noise", "environment", {**row, "snr_db": 10.0}, "AddBackgroundNoise", theirs


def music(seconds: float, channels: int) -> Waveform:
    """Beats of a bright chord over a faint hiss: tones, attacks and pauses."""
    generator = np.random.default_rng(0)
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    chord = sum(np.sin(2 * np.pi * hz * times) / place for place, hz in enumerate((220, 277, 330, 1760, 7040), start=1))
    beats = np.exp(-6.0 * (times % 0.5))
    samples = 0.2 * chord * beats + 0.005 * generator.standard_normal((channels, len(times)))
    return Waveform(samples.astype(np.float32), SAMPLE_RATE)


def core_seconds(work: Callable[[], object]) -> float:
    """Processor time of one turn."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def heard_by(kind: str, waveform: Waveform) -> Waveform:
    """`waveform`, for faults of stereo with two channels: on one they have nothing to do."""
    if kind.partition(":")[0] != "stereo" or waveform.channels > 1:
        return waveform
    return Waveform(np.repeat(waveform.samples, 2, axis=0), waveform.sample_rate)


def speeds_of_kinds(waveform: Waveform, draws: int) -> dict[str, float]:
    """Seconds of audio a second of a core for every entry of the table, as the recipe draws it."""
    found = {}
    for name in track(["seed", *(entry.name for entry in load_recipe("audiobuff").entries)], "Each kind"):
        rows = [draw_row("a", "b", recipe=name, seed=1, variant=variant) for variant in range(draws)]
        audio = heard_by(name, waveform)
        render(rows[0], audio)
        spent = sum(core_seconds(partial(render, row, audio)) for row in rows)
        found[name] = draws * waveform.duration_seconds / spent
    return found


def facts_of_recipe(waveform: Waveform, items: int) -> dict[str, float]:
    """Speed of the recipe `audiobuff`, drawing included, and how many faults and clean items it makes."""
    spent, faults, clean = 0.0, 0, 0
    for index in track(range(items), "The recipe"):
        begin = time.process_time()
        row = draw_row("a", str(index), recipe="audiobuff", seed=1, variant=0)
        render(row, waveform)
        spent += time.process_time() - begin
        faults += len(row.faults)
        clean += not row.faults
    return {
        "speed": items * waveform.duration_seconds / spent,
        "mean_faults": faults / items,
        "clean_share": clean / items,
    }


def ratios_to_peer(waveform: Waveform, turns: int, folder: Path) -> dict[str, dict[str, float]]:
    """Each pair of `PAIRS` and noise in `folder`: both speeds, and audiomentations' time over ours."""
    import audiomentations

    found = {}
    generator = np.random.default_rng(0)
    for name, kind, parameters, transform, options in track((*PAIRS, noise_of_a_folder(folder)), "Side by side"):
        samples = heard_by(kind, waveform).samples
        if not getattr(audiomentations, transform).supports_multichannel:
            samples = samples[:1]  # for both
        works = (
            partial(FAULTS[kind], samples, SAMPLE_RATE, parameters, generator),
            partial(_peer(getattr(audiomentations, transform), options), samples),
        )
        pairs = []
        for turn in range(turns + 1):
            order = (0, 1) if turn % 2 else (1, 0)
            times = {which: core_seconds(works[which]) for which in order}
            pairs.append((times[0], times[1]))
        ours, theirs = (median(pair[which] for pair in pairs[1:]) for which in (0, 1))
        found[f"{name} ({transform})"] = {
            "ours": waveform.duration_seconds / ours,
            "audiomentations": waveform.duration_seconds / theirs,
            "ratio": median(theirs / ours for ours, theirs in pairs[1:]),
        }
    return found


def _peer(transform: type[Any], options: Options | Callable[[np.ndarray], Options]) -> Callable[[np.ndarray], object]:
    if callable(options):
        return lambda samples: transform(p=1.0, **options(samples))(samples, SAMPLE_RATE)
    made = transform(p=1.0, **options)
    if not made.supports_multichannel:
        return lambda samples: made(samples[0], SAMPLE_RATE)
    return lambda samples: made(samples, SAMPLE_RATE)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the audio (default: %(default)s)")
    parser.add_argument("--channels", type=int, default=1, choices=(1, 2))
    parser.add_argument("--draws", type=int, default=4, help="of each kind (default: %(default)s)")
    parser.add_argument("--items", type=int, default=200, help="of the recipe (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=15, help="of each pair (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/degradations.json"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of audiomentations
    waveform = music(arguments.seconds, arguments.channels)
    kinds = speeds_of_kinds(waveform, arguments.draws)
    recipe = facts_of_recipe(waveform, arguments.items)
    with tempfile.TemporaryDirectory() as folder:
        peers = ratios_to_peer(waveform, arguments.turns, Path(folder))
    for name, speed in kinds.items():
        print(f"{name:<22} {speed:8.0f} x real time")
    for name, one in peers.items():
        print(f"{name:<42} {one['ours']:8.0f} x here, {one['audiomentations']:8.0f} x there: ratio {one['ratio']:5.2f}")
    print(
        f"recipe audiobuff: {recipe['speed']:.0f} x real time, {recipe['mean_faults']:.2f} faults an item, "
        f"{recipe['clean_share']:.1%} clean; expected at least {LEAST_SPEED:.0f} x"
    )
    slow = [f"{name} ({one['ratio']:.2f})" for name, one in peers.items() if one["ratio"] < LEAST_RATIO]
    print(f"more than 20 % slower than audiomentations: {', '.join(slow) or 'none'}")
    write_json(arguments.out, {"kinds": kinds, "recipe": recipe, "peers": peers, "channels": arguments.channels})


if __name__ == "__main__":
    main()
