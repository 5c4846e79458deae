"""What a checkpoint is, in plain words and numbers."""

import hashlib
from typing import Any

from audiobuff_core.files import join, read_bytes
from audiobuff_core.inference.loading import Checkpoint, is_export
from audiobuff_core.models.schema import WEIGHTS_NAME


def describe(checkpoint: Checkpoint) -> dict[str, Any]:
    """The facts of `checkpoint` as JSON values: kind, architecture, weights, parameters, sizes and what it says."""
    state = next(iter(checkpoint.weight_sets.values()))
    place = checkpoint.place
    file = join(place, WEIGHTS_NAME) if is_export(place) else place
    return {
        "place": place,
        "kind": kind_of(checkpoint),
        "architecture": checkpoint.architecture,
        "weights": sorted(checkpoint.weight_sets),
        "parameters": sum(tensor.numel() for tensor in state.values()),
        "sizes": checkpoint.sizes,
        "sha256": hashlib.sha256(read_bytes(file)).hexdigest(),
        **{name: value for name, value in checkpoint.facts.items() if value not in (None, {})},
    }


def kind_of(checkpoint: Checkpoint) -> str:
    """Export or training checkpoint, of AudioBuff or of the original."""
    kind = "inference export" if is_export(checkpoint.place) else "training checkpoint"
    if checkpoint.architecture == "lcfm-dit-v0":
        layout = checkpoint.facts.get("layout")
        return f"{kind} of the original AudioBuff" + (f", {layout} layout" if layout else "")
    return f"{kind} of AudioBuff"


def lines_of(facts: dict[str, Any]) -> list[str]:
    """`facts` as aligned lines; inner tables as `name value` pairs."""
    lines = [f"{facts['place']}: {facts['kind']}"]
    for name, value in facts.items():
        if name not in ("place", "kind"):
            lines += _indented(name, value)
    return lines


def _indented(name: str, value: Any, depth: int = 1) -> list[str]:  # noqa: ANN401 - any JSON value
    pad = "  " * depth
    if isinstance(value, dict):
        if all(not isinstance(inner, dict) for inner in value.values()):
            flat = ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
            return [f"{pad}{name:<14} {flat}"]
        inside = [line for key, inner in value.items() for line in _indented(str(key), inner, depth + 1)]
        return [f"{pad}{name}", *inside]
    return [f"{pad}{name:<14} {_shown(value)}"]


def _shown(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    if isinstance(value, int) and not isinstance(value, bool) and value >= 100_000:
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
