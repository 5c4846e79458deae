"""`summary.json`: what came out, by which encoders and versions; everything that a clock decides is under `costs`."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg

from audiobuff_assets.options import DemoOptions
from audiobuff_assets.results import key
from audiobuff_core.evaluation.held_out import MAIN_KIND
from audiobuff_core.evaluation.measure import load_metrics
from audiobuff_core.files import exists, join, read_json, write_json
from resources.currency import data_versions, recorded
from resources.partitions import DAMAGE_KINDS

ROWS = ("degraded", "restored", "ceiling")
IN_THE_BOX = "in_the_box"
COSTS_NAME = "demo_costs.json"
PACKAGES = ("audiobuff", "dagster", "numpy", "scipy", "torch", "zarr")


@dataclass(frozen=True)
class Costs:
    """What a run of the demo took: seconds of the stages it did not skip, all in all, and peak memory in MB."""

    stage_seconds: dict[str, float]
    total_seconds: float
    peak_memory_mb: float


@dataclass(frozen=True)
class Summary:
    """What the demo says in the end; `table` has a row each for degraded, restored, in_the_box and ceiling."""

    table: dict[str, dict[str, float]]
    gains: dict[str, dict[str, float]]
    kinds: dict[str, dict[str, Any]]
    num_clips: int
    seed: int
    checkpoint: dict[str, str]
    encoders: dict[str, str]
    versions: dict[str, str]
    costs: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            **self.table,
            "gains": self.gains,
            "kinds": self.kinds,
            "num_clips": self.num_clips,
            "seed": self.seed,
            "checkpoint": self.checkpoint,
            "encoders": self.encoders,
            "versions": self.versions,
            "costs": self.costs,
        }


def remember_costs(home: Path, costs: Costs) -> dict[str, Any]:
    """Costs by stage, those of an earlier run where this one had nothing to do; kept in `home` for the next."""
    place = home / COSTS_NAME
    before: dict[str, Any] = read_json(place) if exists(place) else {}
    if not costs.stage_seconds and before:
        return before
    now = {
        "stage_seconds": {**before.get("stage_seconds", {}), **costs.stage_seconds},
        "total_seconds": round(costs.total_seconds, 2),
        "peak_memory_mb": costs.peak_memory_mb,
    }
    write_json(place, now)
    return now


def measure_in_the_box(root: str) -> dict[str, float]:
    """Metric to mean of the unseen clips of the main kind after the model in the box, for comparison.

    It never heard them either: the demo's held-out recordings were kept from its training.
    """
    from audiobuff_core.codecs.registry import load_codec
    from audiobuff_core.evaluation.measure import measure_set
    from audiobuff_core.evaluation.restorations import restore_set
    from audiobuff_core.inference.agreement import treated_and_restored
    from audiobuff_core.inference.in_the_box import in_the_box
    from audiobuff_core.inference.restorer import Restorer

    place = in_the_box()
    if place is None:
        return {}
    restorer = Restorer.load(place)
    restore_set(
        root,
        IN_THE_BOX,
        MAIN_KIND,
        restore=lambda damaged: treated_and_restored(restorer, damaged),
        identity={**restorer.identity, "treatments": True},
    )
    return measure_set(root, IN_THE_BOX, MAIN_KIND, codec=load_codec(restorer.meta["encoders"]["codec"])).restored


def make_summary(
    instance: dg.DagsterInstance, root: str, checkpoint: str, options: DemoOptions, costs: dict[str, Any]
) -> Summary:
    """The summary of `checkpoint` on every kind of damage; its table is that of the kind `seed`."""
    tables = {kind: load_metrics(root, checkpoint, kind) for kind in DAMAGE_KINDS.get_partition_keys()}
    main = tables[MAIN_KIND]
    streams = {name: key(f"latents/{name}") for name in ("target", "structure", "semantic")}
    shard = next(iter(data_versions(instance, streams["target"])))
    return Summary(
        table={**{row: getattr(main, row) for row in ROWS}, IN_THE_BOX: measure_in_the_box(root)},
        gains=main.gains,
        kinds={
            kind: {**{row: getattr(table, row) for row in ROWS}, "gains": table.gains, "num_clips": len(table.items)}
            for kind, table in tables.items()
        },
        num_clips=len(main.items),
        seed=options.seed,
        checkpoint={
            "key": checkpoint,
            "weights_sha256": read_json(join(root, "checkpoints", checkpoint, "done.json"))["weights_sha256"],
        },
        encoders={name: recorded(instance, asset, shard, "encoder") or "" for name, asset in streams.items()},
        versions={"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        costs=costs,
    )
