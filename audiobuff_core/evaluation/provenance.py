"""Where a checkpoint's results come from: everything needed to make them again."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from audiobuff_core.evaluation.held_out import EvaluationSet
from audiobuff_core.evaluation.restorations import RestoredSet
from audiobuff_core.files import exists, join, read_json

PACKAGES = ("audiobuff", "torch", "numpy", "scipy", "zarr", "dagster")


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the provenance; `is_code` where the value is an identifier and not prose."""

    name: str
    value: str
    is_code: bool = False


def collect_facts(
    root: str, checkpoint_key: str, clips: Mapping[str, EvaluationSet], restored: Mapping[str, RestoredSet]
) -> list[Fact]:
    """The facts of one checkpoint's evaluation; what a checkpoint of elsewhere does not record is left out."""
    identity = dict(next(iter(restored.values())).identity)
    done = _read(root, "checkpoints", checkpoint_key, "done.json")
    config = _read(root, "checkpoints", checkpoint_key, "config.json")
    facts = [Fact("Checkpoint", checkpoint_key, True)]
    if "checkpoint_sha256" in identity:
        facts.append(Fact("Weights, SHA-256", str(identity["checkpoint_sha256"]), True))
    facts += _training_facts(root, identity, done)
    meta = config.get("meta", {})
    if "seed" in meta:
        facts.append(Fact("Seed of the training", str(meta["seed"])))
    for stream, encoder in identity.get("encoders", {}).items():
        facts.append(Fact(f"Encoder, {stream}", _encoder(encoder), True))
    steps = next(iter(restored.values())).steps or meta.get("inference", {}).get("steps")
    if steps is not None:
        facts.append(Fact("Solver steps", str(steps)))
    seeds = sorted({item.row.seed for one in clips.values() for item in one.items})
    facts.append(Fact("Seed of the held-out damage", ", ".join(map(str, seeds))))
    for kind, one in clips.items():
        facts.append(Fact(f"Clips, {kind}", f"{len(one.items)}, {one.digest[:16]}", True))
    return facts + _versions()


def _training_facts(root: str, identity: Mapping[str, Any], done: Mapping[str, Any]) -> list[Fact]:
    facts = []
    if "profile" in identity:
        facts.append(Fact("Training profile", str(identity["profile"])))
    if "parameters" in identity:
        facts.append(Fact("Parameters of the network", f"{identity['parameters']:,}"))
    if "steps" in done:
        facts.append(Fact("Optimiser steps", f"{done['steps']:,}"))
    if "snapshot_digest" in identity:
        digest = str(identity["snapshot_digest"])
        facts.append(Fact("Training snapshot", digest, True))
        items = _read(root, "snapshots", f"{digest[:16]}.json").get("items", [])
        for split in ("train", "validation"):
            tracks = {item["track_id"] for item in items if item["split"] == split}
            variants = sum(item["split"] == split for item in items)
            if tracks:
                facts.append(Fact(f"Tracks, {split}", f"{len(tracks)} ({variants} damaged variants)"))
    return facts


def _encoder(encoder: Any) -> str:  # noqa: ANN401 - JSON
    if not isinstance(encoder, Mapping):
        return str(encoder)
    return f"{encoder.get('name')} {encoder.get('revision')} {str(encoder.get('weights_hash', ''))[:16]}".strip()


def _versions() -> list[Fact]:
    found = [f"{name} {version(name)}" for name in PACKAGES]
    return [Fact("Versions", ", ".join([f"Python {platform.python_version()}", *found]))]


def _read(root: str, *parts: str) -> dict[str, Any]:
    place = join(root, *parts)
    return dict(read_json(place)) if exists(place) else {}
