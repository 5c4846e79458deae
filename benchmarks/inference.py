"""How fast a model restores, in how much memory, and how fast other systems are on the same recording.

    OMP_WAIT_POLICY=PASSIVE uv run --extra baselines python benchmarks/inference.py

It takes some minutes. Threads wait as those of `audiobuff` do: with the other policy a busy machine makes every figure
worse several times. What has a goal is told to reach or to miss it, and all goes to a JSON file.

Files, by `restore_file` with all treatments, reading and writing: music with noise from the bundled corpus, mono, by
each preset; stereo against mono. Peers get the same music in memory, so they neither read nor write. What memory an
hour takes, `tests/core/inference/test_memory_of_files.py` measures in processes of their own.

Loops: the original's solves chunks of 256 latent frames every 128 by themselves, in single precision, with and without
conditions in two passes; ours solves the whole track in windows that share an eighth, both branches in one pass. Both
see the same network, latents and number of steps, one after the other in one process; the ratio is of their medians.

Steps: mono, guidance 1, bf16 where the machine has it, with tau 0.5: the model in the box takes none at its own tau, 0.

The network is the one in the box, or that of --model; with --d_model an untrained one of that size: speed does not
depend on weights. Goals are those of the model in the box on two cores.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import torch
from original_loop import CFG, CHUNK_TOKENS, field_of, originals_loop

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.codecs.registry import EncoderChoice, load_codec, load_feature_encoder
from audiobuff_core.commands.chosen_model import chosen_model
from audiobuff_core.errors import PeerTooSlow, PeerUnavailable
from audiobuff_core.evaluation.peers.catalogue import OPERATOR, PEERS
from audiobuff_core.evaluation.peers.peer import Case
from audiobuff_core.files import write_json
from audiobuff_core.flow.guidance import Guidance
from audiobuff_core.inference.opened import OpenedModel
from audiobuff_core.inference.restore_file import restore_file
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.inference.settings import Preset, RestoreSettings
from audiobuff_core.inference.trajectory import flow_to_data
from audiobuff_core.memory import give_back_freed
from audiobuff_core.models.model import ModelConfig, RestorationModel, Standardiser
from audiobuff_core.precision import resolve_precision

STEPS, LENGTHS, LOOP_STEPS, RATE = (4, 8, 16, 32), (1, 2, 4), 4, 44_100
PRESET_GOALS: Final[dict[Preset, float]] = {"fast": 20.0, "balanced": 8.0, "best": 2.0}
STEP_GOALS: Final = {4: 10.0, 16: 4.0}


def untrained(d_model: int, depth: int) -> OpenedModel:
    """A network of that size on the built-in encoders."""
    codec = load_codec("builtin")
    encoders = {name: load_feature_encoder(name, "builtin") for name in ("structure", "semantic")}
    dims = {"target": codec.latent_dim, **{name: encoder.feature_dim for name, encoder in encoders.items()}}
    config = ModelConfig(
        latent_dim=dims["target"], structure_dim=dims["structure"], semantic_dim=dims["semantic"],
        d_model=d_model, n_heads=max(1, d_model // 64), depth=depth, hidden_dim=d_model * 11 // 4,
    )  # fmt: skip
    identities = {"target": codec.identity, **{name: encoder.identity for name, encoder in encoders.items()}}
    meta = {
        "profile": "untrained", "seed": 0, "snapshot_digest": None, "source": "damaged",
        "encoders": EncoderChoice().as_dict(),
        "identities": {name: identity.as_dict() for name, identity in identities.items()},
        "inference": {"steps": 16, "tau": 0.0, "window_frames": CHUNK_TOKENS},
    }  # fmt: skip
    standardisers = {name: Standardiser(torch.zeros(dim), torch.ones(dim)) for name, dim in dims.items()}
    return OpenedModel(RestorationModel(config).eval(), standardisers, meta, "0" * 64)


def recording(seconds: float) -> Waveform:
    """Noise: its content does not matter either."""
    samples = 0.1 * np.random.default_rng(0).standard_normal((1, round(seconds * 44_100)))
    return Waveform(samples.astype(np.float32), 44_100)


def peak_mib_of(work: Callable[[], Any]) -> float:
    """Resident memory at its highest while `work` runs, in MiB beyond what is held before."""
    give_back_freed()  # what was freed and kept would count as held, and then as needed by nobody
    process, over = psutil.Process(), threading.Event()
    highest = [process.memory_info().rss]

    def watch() -> None:
        while not over.wait(0.02):
            highest.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        over.set()
        watcher.join()
    return (max(highest) - highest[0]) / 2**20


def seconds_of(work: Callable[[], Any]) -> float:
    """Wall time of `work`."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; `goal` is what it should reach, from below where `at_most`."""

    name: str
    figure: float
    goal: float | None = None
    at_most: bool = False

    @property
    def verdict(self) -> str:
        """PASS, MISS, or nothing without a goal."""
        if self.goal is None:
            return ""
        return "PASS" if (self.figure <= self.goal if self.at_most else self.figure >= self.goal) else "MISS"

    def __str__(self) -> str:
        """One line of the table."""
        goal = "" if self.goal is None else f"{'at most' if self.at_most else 'at least'} {self.goal:g}"
        return f"{self.name:<52} {self.figure:>9.2f}  {goal:<14} {self.verdict}".rstrip()


def music(seconds: float, channels: int) -> Waveform:
    """Clips of the bundled corpus one after the other, with noise 26 dB below full scale; each channel its own."""
    clips = itertools.cycle(sorted(Path(corpus_folder()).glob("*.flac")))
    wanted, parts, length = round(seconds * RATE), [], 0
    while length < wanted:
        clip = resample(read_audio(next(clips)).mono(), RATE).samples
        parts.append(clip)
        length += clip.shape[1]
    sound = np.concatenate(parts, axis=1)[:, :wanted]
    noise = 0.02 * np.random.default_rng(0).standard_normal((channels, wanted), np.float32)
    return Waveform(np.clip(0.7 * sound + noise, -1, 1).astype(np.float32), RATE)


def loop_rows(restorer: Restorer, seconds: float, repeats: int) -> list[Row]:
    """Both loops on the same latents, in turn."""
    waveform = recording(seconds)
    conditions = restorer.hearing.conditions(waveform, 0.0)[1]
    noise = torch.randn(conditions.damaged.shape)

    def ours() -> None:
        field = field_of(restorer, conditions, CHUNK_TOKENS // 8, restorer.precision)
        flow_to_data(field, "damaged", noise, steps=LOOP_STEPS, guidance=Guidance(scale=CFG))

    loops = {"original": lambda: originals_loop(restorer, conditions, LOOP_STEPS), "ours": ours}
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(repeats):
        for name, loop in loops.items():
            times[name].append(seconds_of(loop))
    medians = {name: statistics.median(each) for name, each in times.items()}
    ratio = medians["original"] / medians["ours"]
    return [Row(f"the original's loop, {LOOP_STEPS} steps, of our cost", ratio, 1.5)]


def file_rows(restorer: Restorer, seconds: float, repeats: int) -> list[Row]:
    """Presets and stereo, by whole files."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)

        def restored(name: str, preset: Preset = "fast") -> None:
            restore_file(place / name, place / "out.wav", restorer, RestoreSettings(preset=preset))

        for name, channels in (("mono.wav", 1), ("stereo.wav", 2)):
            write_audio(place / name, music(seconds, channels), subtype="PCM_16")
        costs: dict[tuple[str, Preset], list[float]] = {}
        for _ in range(repeats):
            for name, preset in itertools.product(("mono.wav", "stereo.wav"), PRESET_GOALS):
                if name == "mono.wav" or preset == "fast":
                    cost = seconds_of(lambda name=name, preset=preset: restored(name, preset))
                    costs.setdefault((name, preset), []).append(cost)
    medians = {key: statistics.median(each) for key, each in costs.items()}
    rows = [
        Row(f"--preset {preset}, mono, x real time", seconds / medians["mono.wav", preset], goal)
        for preset, goal in PRESET_GOALS.items()
    ]
    ratio = medians["stereo.wav", "fast"] / medians["mono.wav", "fast"]
    return [*rows, Row("stereo, of the cost of mono", ratio, 2.0, at_most=True)]


def peer_rows(seconds: float, repeats: int) -> list[Row]:
    """Other systems on the same music, mono; those that are not installed are told to be missing."""
    damaged, rows = music(seconds, 1), []
    for name, peer in PEERS.items():
        if name == OPERATOR:  # it knows the damage, and tries every tool
            continue
        try:
            peer.versions()
            restore = peer.load()
            case = Case(damaged, limit_seconds=4 * seconds)
            cost = statistics.median(seconds_of(lambda: restore(case)) for _ in range(repeats))  # noqa: B023
        except (PeerUnavailable, PeerTooSlow) as error:
            print(f"{name}: {error}")
            continue
        rows.append(Row(f"{name}, mono, x real time", seconds / cost))
    return rows


def step_rows(restorer: Restorer, seconds: float, repeats: int) -> list[Row]:
    """Real-time factor and memory by solver steps, and the cost of longer recordings."""
    clip, rows = recording(seconds), []
    for steps in STEPS:
        cost = statistics.median(
            seconds_of(lambda steps=steps: restorer.restore(clip, steps=steps, tau=0.5)) for _ in range(repeats)
        )
        rows.append(Row(f"{steps} steps, mono, x real time", seconds / cost, STEP_GOALS.get(steps)))
        peak = peak_mib_of(lambda steps=steps: restorer.restore(clip, steps=steps, tau=0.5))
        rows.append(Row(f"{steps} steps, memory on top of what was held, MiB", peak))
    clips = {length: recording(length * seconds) for length in LENGTHS}
    costs: dict[int, list[float]] = {length: [] for length in LENGTHS}
    for _ in range(repeats):
        for length, longer in clips.items():
            costs[length].append(seconds_of(lambda longer=longer: restorer.restore(longer, steps=2, tau=0.5)) / length)
    first = statistics.median(costs[1])
    for length in LENGTHS[1:]:
        growth = statistics.median(costs[length]) / first
        rows.append(Row(f"cost a second of {length} times the length", growth, 1.15, at_most=True))
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="export folder or checkpoint (default: the model in the box)")
    parser.add_argument("--d_model", type=int, help="an untrained network of this width instead")
    parser.add_argument("--depth", type=int, default=6, help="... and of this many blocks (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=12.0, help="of loops and steps (default: %(default)s)")
    parser.add_argument("--file_seconds", type=float, default=60.0, help="of the files (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/inference.json"))
    told = parser.parse_args()
    if told.d_model:
        restorer = Restorer(untrained(told.d_model, told.depth))
    else:
        restorer = Restorer.load(chosen_model(told.model, lambda: None))
    restorer.precision = told.precision
    precision = resolve_precision(restorer.precision, restorer.device)
    print(f"{restorer.identity['parameters']:,} parameters, {precision}, {torch.get_num_threads()} threads", flush=True)
    restorer.restore(recording(told.seconds), steps=1)  # warm
    rows: list[Row] = []
    for measured in (
        lambda: file_rows(restorer, told.file_seconds, told.repeats),
        lambda: peer_rows(told.file_seconds, told.repeats),
        lambda: loop_rows(restorer, told.seconds, told.repeats),
        lambda: step_rows(restorer, told.seconds, told.repeats),
    ):
        for row in measured():
            rows.append(row)
            print(row, flush=True)
    facts = {
        "precision": precision,
        "threads": torch.get_num_threads(),
        "wait_policy": os.environ.get("OMP_WAIT_POLICY"),
        "model": restorer.identity,
    }
    write_json(told.out, facts | {"rows": [asdict(row) | {"verdict": row.verdict} for row in rows]})


if __name__ == "__main__":
    main()
