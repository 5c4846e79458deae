"""What the exact treatments gain on damage and cost on clean recordings, by kind, and how fast they are.

    uv run python benchmarks/treatments.py
    uv run python benchmarks/treatments.py --clean ~/corpus/audio --num-clips 40 --num-clean 400

Half of the kinds are tidy, half untidy: hum that drifts, clipping that was made quieter or encoded since.
"Worse" counts the clips that lost more than 0.2 dB of SI-SDR (held to 60 dB).
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.plan import Fault, PlanRow
from audiobuff_core.degradation.render import render
from audiobuff_core.evaluation.metrics.lsd import lsd_db
from audiobuff_core.evaluation.metrics.si_sdr import held, si_sdr_db
from audiobuff_core.files import write_json
from audiobuff_core.progress import show_progress, track
from audiobuff_core.seeding import numpy_generator
from audiobuff_core.treatment.chain import TREATMENTS, treat

LONGEST_SECONDS = 8.0
SHORTEST_SECONDS = 0.4
HELD_DB = 60.0
WORSE_DB = 0.2
AUDIO = (".flac", ".wav", ".ogg")

Samples = NDArray[np.float64]
Draw = Callable[[np.random.Generator], list[Fault]]


def _hum(generator: np.random.Generator, **more: float) -> Fault:
    return Fault("hum", {
        "mains_hz": int(generator.choice([50, 60])), "offset_share": generator.uniform(-0.0005, 0.0005),
        "drift_share": 0.0, "drift_hz": 0.1, "num_harmonics": int(generator.integers(3, 11)),
        "level_dbfs": generator.uniform(-50.0, -25.0), **more,
    })  # fmt: skip


def _drifting(generator: np.random.Generator) -> Fault:
    sway = {"drift_share": generator.uniform(0.0005, 0.002), "drift_hz": generator.uniform(0.02, 0.3)}
    return _hum(generator, offset_share=generator.uniform(-0.003, 0.003), **sway)


def _clipped(generator: np.random.Generator) -> Fault:
    if generator.random() < 0.5:
        return Fault("clipping", {"mode": "peak", "peak_divisor": float(generator.uniform(1.3, 3.0))})
    shares = {"low_quantile": generator.uniform(0.0, 0.1), "high_quantile": generator.uniform(0.9, 1.0)}
    return Fault("clipping", {"mode": "quantile", **shares})


def _clicked(generator: np.random.Generator) -> Fault:
    return Fault("clicks", {
        "rate_hz": float(np.exp(generator.uniform(np.log(0.2), np.log(30.0)))), "shortest_ms": 0.1,
        "longest_ms": float(np.exp(generator.uniform(np.log(0.3), np.log(3.0)))),
        "lowest_db": generator.uniform(6.0, 15.0), "highest_db": generator.uniform(15.0, 30.0),
    })  # fmt: skip


def _lost(generator: np.random.Generator) -> Fault:
    bursts = {"mean_burst": float(generator.uniform(1.0, 2.0)), "longest_burst": 10}
    return Fault("gaps", {"mode": "packets", "packet_ms": 20, "lost_share": generator.uniform(0.05, 0.25), **bursts})


def _rumbling(generator: np.random.Generator) -> Fault:
    place = {"center_hz": float(generator.uniform(20.0, 60.0)), "width_hz": float(generator.uniform(4.0, 20.0))}
    return Fault("rumble", {**place, "snr_db": float(generator.uniform(0.0, 20.0))})


def _windy(generator: np.random.Generator) -> Fault:
    gusts = {"gusts_hz": float(generator.uniform(0.1, 2.0)), "calm_db": float(generator.uniform(-30.0, -6.0))}
    corner_hz = float(generator.uniform(60.0, 400.0))
    snr_db = float(generator.uniform(-10.0, 15.0))
    return Fault("wind", {"corner_hz": corner_hz, "snr_db": snr_db, "duck_db": 0.0, **gusts})


def _quantised(generator: np.random.Generator) -> Fault:
    return Fault("bit_depth", {"bits": int(generator.integers(5, 13)), "dither": "none"})


def _by_telephone(generator: np.random.Generator) -> Fault:
    return Fault("codec", {"codec": str(generator.choice(["gsm", "mu_law", "a_law"])), "generations": 1})


def _quieter(generator: np.random.Generator) -> Fault:
    return Fault("level", {"gain": float(generator.uniform(0.2, 0.8)), "jitter_db": 0.0, "target": "kept"})


KINDS: dict[str, Draw] = {
    "hum": lambda g: [_hum(g)],
    "rumble": lambda g: [_rumbling(g)],
    "wind": lambda g: [_windy(g)],
    "steady noise": lambda g: [Fault("noise", {"color": "white", "snr_db": float(g.uniform(5.0, 25.0))})],
    "hum, drifting": lambda g: [_drifting(g)],
    "clipping": lambda g: [_clipped(g)],
    "clipping, quieter": lambda g: [_clipped(g), _quieter(g)],
    "clipping, MP3": lambda g: [_clipped(g), Fault("mp3", {"bit_rate": 128_000, "generations": 1})],
    "clipping, Vorbis": lambda g: [_clipped(g), Fault("codec", {"codec": "vorbis", "quality": 0.6, "generations": 1})],
    "clicks": lambda g: [_clicked(g)],
    "clicks, MP3": lambda g: [_clicked(g), Fault("mp3", {"bit_rate": 128_000, "generations": 1})],
    "lost packets": lambda g: [_lost(g)],
    "few bits": lambda g: [_quantised(g)],
    "held samples": lambda g: [Fault("rate_crush", {"rate_hz": int(g.integers(8000, 30000)), "output": "hold"})],
    "telephone": lambda g: [_by_telephone(g)],
    "offset": lambda g: [Fault("dc_offset", {"offset": float(g.uniform(0.002, 0.05))})],
    "drifting hum, clipping, clicks": lambda g: [_drifting(g), _clicked(g), _clipped(g)],
}


def load_clips(folder: Path, most: int) -> list[tuple[str, Waveform]]:
    """Up to `most` mono clips of 8 s at most, spread over the audio files in `folder`, from their middles."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO and path.parent.name != "inbox")
    chosen = files[:: max(1, len(files) // most)][:most]
    clips = []
    for path in track(chosen, "Reading"):
        waveform = read_audio(path).mono()
        length = round(LONGEST_SECONDS * waveform.sample_rate)
        start = max(0, (waveform.num_samples - length) // 2)
        clip = waveform.samples[:, start : start + length]
        if clip.shape[1] >= SHORTEST_SECONDS * waveform.sample_rate and np.abs(clip).max() > 0.01:
            clips.append((path.stem, Waveform(clip, waveform.sample_rate)))
    return clips


def similarity(clean: Samples, other: Samples) -> tuple[float, float]:
    """SI-SDR (held to 60 dB) and LSD."""
    return held(si_sdr_db(clean, other), HELD_DB), lsd_db(clean, other)


def measure_kind(name: str, clips: list[tuple[str, Waveform]]) -> dict[str, float]:
    """Means over the clips that the damage changed at all."""
    rows = []
    for title, clip in track(clips, name):
        generator = numpy_generator("benchmark treatments", name, title)
        row = PlanRow(title, "", 0, "benchmark", 1, tuple(KINDS[name](generator)))
        damaged = render(row, clip)
        treated = treat(damaged)
        clean = clip.samples[0].astype(np.float64)
        before = similarity(clean, damaged.samples[0].astype(np.float64))
        after = similarity(clean, treated.waveform.samples[0].astype(np.float64))
        rows.append((*before, *after, float(bool(treated.repairs)), float(after[0] < before[0] - WORSE_DB)))
    means = np.mean(rows, axis=0)
    names = ("si_sdr_before", "lsd_before", "si_sdr_after", "lsd_after", "treated_share")
    return dict(zip(names, means[:5].tolist(), strict=True)) | {"worse": int(np.sum(rows, axis=0)[5]), "n": len(rows)}


def measure_clean(clips: list[tuple[str, Waveform]]) -> dict[str, Any]:
    """What was touched though nothing was added, and how many seconds of audio a second of processor takes."""
    touched = {}
    started = time.process_time()
    for title, clip in track(clips, "clean"):
        treated = treat(clip)
        if treated.repairs:
            clean = clip.samples[0].astype(np.float64)
            kinds = sorted({repair.kind for repair in treated.repairs})
            fidelity = held(si_sdr_db(clean, treated.waveform.samples[0].astype(np.float64)), HELD_DB)
            touched[title] = {"kinds": kinds, "si_sdr_db": fidelity}
    seconds = sum(clip.duration_seconds for _, clip in clips)
    return {"n": len(clips), "touched": touched, "real_time_factor": seconds / (time.process_time() - started)}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clean", type=Path, default=corpus_folder(), help="folder of clean audio (the bundled one)")
    parser.add_argument("--num-clips", type=int, default=16, help="damaged clips a kind (default: %(default)s)")
    parser.add_argument("--num-clean", type=int, default=120, help="clean clips (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/treatments.json"))
    arguments = parser.parse_args()
    with show_progress():
        clean = measure_clean(load_clips(arguments.clean, arguments.num_clean))
        clips = load_clips(arguments.clean, arguments.num_clips)
        kinds = {name: measure_kind(name, clips) for name in KINDS}
    print(f"{'kind':<32}{'SI-SDR':>16}{'LSD':>16}{'treated':>9}{'worse':>7}")
    for name, row in kinds.items():
        si_sdr = f"{row['si_sdr_before']:.2f} > {row['si_sdr_after']:.2f}"
        lsd = f"{row['lsd_before']:.2f} > {row['lsd_after']:.2f}"
        print(f"{name:<32}{si_sdr:>16}{lsd:>16}{row['treated_share']:>9.0%}{row['worse']:>4} of {row['n']}")
    print(f"clean: {len(clean['touched'])} of {clean['n']} touched, {clean['real_time_factor']:.0f} x real time")
    for title, found in clean["touched"].items():
        print(f"  {title}: {', '.join(found['kinds'])}, {found['si_sdr_db']:.1f} dB to the input")
    write_json(arguments.out, {"kinds": kinds, "clean": clean, "treatments": list(TREATMENTS)})


if __name__ == "__main__":
    main()
