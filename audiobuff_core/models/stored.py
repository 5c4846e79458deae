"""Any checkpoint, the original's or ours, file or export, as weights with their sizes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from audiobuff_core.errors import InvalidCheckpoint
from audiobuff_core.files import exists, join, read_json
from audiobuff_core.models.checkpoint_file import read_plain
from audiobuff_core.models.legacy import LEGACY_ARCHITECTURE, LegacyConfig
from audiobuff_core.models.legacy_export import read_legacy_export
from audiobuff_core.models.legacy_layouts import legacy_config, legacy_weight_sets
from audiobuff_core.models.model import ARCHITECTURE, ModelConfig, Standardisers
from audiobuff_core.models.schema import CONFIG_NAME, SCHEMA_VERSION, load_model, read_statistics

State = dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class StoredWeights:
    """What a checkpoint or export holds.

    Attributes:
        place: path or URL.
        architecture: `lcfm-dit-v0` of the original or `lcfm-dit-v1`.
        config: sizes.
        standardisers: of the three streams; None where the file keeps none, as the original's.
        weight_sets: whole state dicts, `ema` or `model` or both.
        facts: what else it says, as JSON values.
    """

    place: str
    architecture: str
    config: ModelConfig | LegacyConfig
    standardisers: Standardisers | None
    weight_sets: dict[str, State]
    facts: dict[str, Any]


def read_weights(path: str | Path, *, n_heads: int | None = None) -> StoredWeights:
    """The weights at `path`: a `.pt` file of the original (any of its three layouts) or of ours, or an export.

    A file that names no architecture is the original's.

    Args:
        path: file, export folder or URL.
        n_heads: of a file of the original that does not say it.

    Raises:
        CheckpointNotFound: nothing is there.
        InvalidCheckpoint: it is not whole, of an unknown architecture, holds pickled code, or contradicts itself.
    """
    place = str(path)
    try:
        return _read(place, n_heads)
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = f"{type(error).__name__} {' '.join(str(error).split())[:100]}"
        raise InvalidCheckpoint(f"{place} is not laid out as a checkpoint ({reason}): use another") from error


def _read(place: str, n_heads: int | None) -> StoredWeights:
    if is_export(place):
        return _from_export(place)
    content = read_plain(place)
    architecture = content.get("architecture", LEGACY_ARCHITECTURE)
    if architecture == ARCHITECTURE:
        return _ours(content, place)
    if architecture != LEGACY_ARCHITECTURE:
        raise InvalidCheckpoint(
            f"{place} has architecture {architecture!r}: expected {LEGACY_ARCHITECTURE} or {ARCHITECTURE}; "
            "update AudioBuff"
        )
    return _legacy(content, place, n_heads)


def is_export(place: str) -> bool:
    """Whether `place` is a folder that holds an export of any architecture."""
    if Path(place).suffix == ".pt" or not exists(join(place, CONFIG_NAME)):
        return False
    fields = read_json(join(place, CONFIG_NAME))
    return isinstance(fields, dict) and fields.get("architecture") in (ARCHITECTURE, LEGACY_ARCHITECTURE)


def _legacy(content: dict[str, Any], place: str, n_heads: int | None) -> StoredWeights:
    sets = legacy_weight_sets(content, place)
    configs = [legacy_config(content, state, place, n_heads=n_heads) for state in sets.values()]
    layouts = {"ema_backbone_state": "component", "ema_state": "combined", "model_state": "model only"}
    layout = next((name for key, name in layouts.items() if content.get(key)), "model components")
    ours = content.get("config", {}).get("meta", {})  # of one that was trained on here, which knows its encoders
    meta = dict(content.get("meta") or {}) | {name: ours[name] for name in ("encoders", "identities") if name in ours}
    facts = {"epoch": content.get("epoch"), "meta": meta, "layout": layout}
    return StoredWeights(place, LEGACY_ARCHITECTURE, configs[0], None, sets, facts)


def _ours(content: dict[str, Any], place: str) -> StoredWeights:
    if content.get("schema_version") != SCHEMA_VERSION:
        raise InvalidCheckpoint(
            f"{place} has checkpoint schema {content.get('schema_version')}: expected {SCHEMA_VERSION}; "
            "update AudioBuff"
        )
    config = ModelConfig.from_dict(content["config"]["model"])
    sets = {name: dict(content[f"{name}_state"]) for name in ("ema", "model")}
    facts = {name: content[name] for name in ("epoch", "train_state", "metrics")}
    facts |= {"meta": content["config"]["meta"], "training": content["config"]["training"]}
    return StoredWeights(place, ARCHITECTURE, config, read_statistics(content, place), sets, facts)


def _from_export(folder: str) -> StoredWeights:
    if read_json(join(folder, CONFIG_NAME))["architecture"] == ARCHITECTURE:
        loaded = load_model(folder)
        sets = {"ema": loaded.model.state_dict()}
        return StoredWeights(
            folder, ARCHITECTURE, loaded.model.config, loaded.standardisers, sets, {"meta": loaded.meta}
        )
    export = read_legacy_export(folder)
    epoch: int | None = export.meta.get("epoch")
    facts = {"epoch": epoch, "meta": export.meta}
    return StoredWeights(folder, LEGACY_ARCHITECTURE, export.config, None, {export.weights: export.state}, facts)
