"""The three sources of the flow on one set: the same recordings, damage, steps and seed, restored at several costs.

Prepares the bundled recordings, trains one small network a source and measures all of them on the same held-out clips.
`uv run python benchmarks/sources.py` takes eight minutes on one core; run again, it keeps what is finished. Networks
this young harm more than they help: what counts is which source harms less, and at what cost.
"""

import argparse
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.registry import EncoderChoice, load_codec
from audiobuff_core.data.damage import degrade_shard, plan_shard
from audiobuff_core.data.extraction import STREAMS, extract_shard
from audiobuff_core.data.ingest import ingest_shard
from audiobuff_core.data.library import list_shards, load_shard, register_shards
from audiobuff_core.data.snapshot import Snapshot, make_snapshot
from audiobuff_core.evaluation.bootstrap import mean_interval
from audiobuff_core.evaluation.held_out import damage_held_out
from audiobuff_core.evaluation.measure import measure_set
from audiobuff_core.evaluation.restorations import restore_set
from audiobuff_core.evaluation.table import METRICS, SIGNS, ClipMeasures
from audiobuff_core.files import join, write_json
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.progress import show_progress
from audiobuff_core.training.config import config_for, training_key
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.run import train

KINDS = ("noise", "band_limit", "mp3", "gaps", "clean")
# What each source is restored with: the knob `tau` and the solver's steps.
SETTINGS: dict[str, tuple[tuple[float, int], ...]] = {
    "noise": ((1.0, 4), (1.0, 16)),
    "damaged": ((0.0, 1), (0.0, 4), (0.3, 8)),
    "uncertainty": ((0.0, 1), (0.3, 8), (1.0, 8)),
}
# The demo's training never adds noise to its source; here every source gets what it can do.
TRAINING: dict[str, dict[str, Any]] = {
    "noise": {"start_share": 0.0, "tau_max": 1.0, "p_tau": 1.0},
    "damaged": {"start_share": 0.5, "tau_max": 0.5, "p_tau": 0.5},
    "uncertainty": {"start_share": 0.5, "tau_max": 1.0, "p_tau": 1.0},
}


@dataclass(frozen=True, slots=True)
class Row:
    """One source at one setting; gains are over the damaged input, means over all clips, positive where better."""

    source: str
    tau: float
    steps: int
    real_time_factor: float
    lsd_gain_db: float
    si_sdr_gain_db: float
    by_kind: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, float]]


def prepare(root: str) -> Snapshot:
    """The bundled recordings through the pipeline, up to the training snapshot."""
    register_shards(root, str(corpus_folder()), date="20260101")
    shards = list_shards(root)
    encoders = EncoderChoice()
    for shard in shards:
        ingest_shard(root, load_shard(root, shard))
        plan_shard(root, shard, recipe="demo", variants=1)
        degrade_shard(root, shard)
        for stream in STREAMS:
            extract_shard(root, shard, stream, encoders=encoders)
    return make_snapshot(root, shards, encoders=encoders)


def trained(root: str, snapshot: Snapshot, source: str, steps: int) -> Restorer:
    """The network of `source` after `steps` steps."""
    options = {"source": source, "max_steps": steps, "times": "logit_normal", **TRAINING[source]}
    config = config_for("demo", options)
    key = training_key(snapshot.digest, profile="demo", seed=config.seed, overrides=options)
    folder = join(root, "checkpoints", key)
    ranks = Ranks(rank=0, world_size=1, device=torch.device("cpu"))
    train(
        config, profile="demo", snapshot_url=snapshot.path, folder_url=folder, ranks=ranks, on_log=lambda row: None
    )  # fmt: skip
    return Restorer.load(folder)


def measured(root: str, restorer: Restorer, source: str, tau: float, steps: int, clips: int) -> Row:
    """Restore and measure the held-out clips."""
    name = f"{restorer.identity['checkpoint_sha256'][:16]}-tau{tau:g}-steps{steps}"
    restore = partial(restorer.restore, tau=tau, steps=steps)
    by_kind: dict[str, tuple[ClipMeasures, ...]] = {}
    for kind in KINDS:
        restore_set(root, name, kind, restore=restore, identity=restorer.identity | {"tau": tau}, steps=steps)
        by_kind[kind] = measure_set(root, name, kind, codec=load_codec("builtin")).items[:clips]
    every = [item for items in by_kind.values() for item in items]
    intervals = {name: mean_interval([item.gains[name] for item in every], seed=1).as_dict() for name in METRICS}
    return Row(
        source=source,
        tau=tau,
        steps=steps,
        real_time_factor=_real_time_factor(restore),
        lsd_gain_db=intervals["lsd_db"]["mean"],
        si_sdr_gain_db=intervals["si_sdr_db"]["mean"],
        by_kind={kind: _mean_gains(items) for kind, items in by_kind.items()},
        intervals=intervals,
    )


def _mean_gains(items: Iterable[ClipMeasures]) -> dict[str, float]:
    gains = [item.gains for item in items]
    return {name: sum(gain[name] for gain in gains) / len(gains) for name in SIGNS}


def _real_time_factor(restore: partial[Waveform]) -> float:
    """Seconds of audio restored in a second of processor time."""
    noise = torch.randn(1, 4 * 44_100, generator=torch.Generator().manual_seed(0)).numpy() * 0.1
    clip = Waveform(noise, 44_100)
    begin = time.process_time()
    restore(clip)
    return clip.duration_seconds / (time.process_time() - begin)


def main() -> None:
    """Prepare, train, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=".dagster/benchmark_sources", help="folder for data (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=120, help="training steps a source (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=4, help="held-out clips a kind (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/sources.json"))
    arguments = parser.parse_args()
    root = str(Path(arguments.root).absolute())
    with show_progress():
        snapshot = prepare(root)
        for kind in KINDS:
            damage_held_out(root, kind, shards=list_shards(root), max_clips=arguments.clips)
        rows = []
        for source, settings in SETTINGS.items():
            restorer = trained(root, snapshot, source, arguments.steps)
            rows += [measured(root, restorer, source, tau, steps, arguments.clips) for tau, steps in settings]
    print_table(rows)
    facts = {"steps": arguments.steps, "snapshot": snapshot.digest}
    write_json(arguments.out, facts | {"rows": [asdict(row) for row in rows]})


def print_table(rows: list[Row]) -> None:
    """Gains over the damaged input with 95 % intervals; LSD/SI-SDR in dB for each kind."""
    overall = "".join(f"{name + ' [95 %]':>26}" for name in ("LSD", "SI-SDR"))
    print(f"{'source':<12}{'tau':>5}{'steps':>6}{'x real':>8}{overall}  gains in dB, by kind LSD/SI-SDR")
    for row in rows:
        kinds = "  ".join(f"{kind} {one['lsd_db']:+.2f}/{one['si_sdr_db']:+.2f}" for kind, one in row.by_kind.items())
        overall = "".join(
            f"{one['mean']:>+9.2f} [{one['low']:>+6.2f}, {one['high']:>+6.2f}]"
            for one in (row.intervals[name] for name in METRICS)
        )
        print(f"{row.source:<12}{row.tau:>5.2f}{row.steps:>6}{row.real_time_factor:>8.1f}{overall}  {kinds}")


if __name__ == "__main__":
    main()
