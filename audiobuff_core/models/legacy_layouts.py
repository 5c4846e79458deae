"""The three layouts in which the original wrote its checkpoints, read into named sets of weights."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from audiobuff_core.errors import InvalidCheckpoint
from audiobuff_core.models.legacy import LEGACY_ARCHITECTURE, LegacyConfig, LegacyModel

State = dict[str, Tensor]
VFN, ALIGNER = "vfn.", "aligner."


def legacy_weight_sets(content: Mapping[str, Any], place: str) -> dict[str, State]:
    """The sets `ema` and `model` that `content` has, each a whole state dict of `LegacyModel`.

    Averaged weights are looked for as the original did: by component (`ema_backbone_state`, `ema_aligner_state`),
    then combined (`ema_state`); where the average has no aligner, the trained one takes its place.

    Raises:
        InvalidCheckpoint: it holds neither, or tensors that no network of the original has.
    """
    model_parts = _split(content, "model", place)
    ema_parts = _split(content, "ema", place)
    sets: dict[str, State] = {}
    if ema_parts is not None:
        backbone, aligner = ema_parts
        sets["ema"] = _joined(backbone, aligner or (model_parts[1] if model_parts else {}) or _aligner_alone(content))
    if model_parts is not None and all(model_parts):
        sets["model"] = _joined(*model_parts)
    if not sets:
        raise InvalidCheckpoint(
            f"{place} has no weights of the original: expected ema_backbone_state, ema_state or model_state, found "
            f"{', '.join(sorted(map(str, content))) or 'nothing'}; use a checkpoint of AudioBuff"
        )
    return sets


def legacy_config(
    content: Mapping[str, Any], state: Mapping[str, Tensor], place: str, *, n_heads: int | None = None
) -> LegacyConfig:
    """The sizes that the tensors have; only `n_heads` can't be seen in them and comes from `meta` or the caller.

    Raises:
        InvalidCheckpoint: weights are missing, nobody says `n_heads`, or `meta` or the caller contradict the file.
    """
    meta = content.get("meta")
    said: dict[str, Any] = dict(meta) if isinstance(meta, Mapping) else {}
    heads = said.get("n_heads", n_heads)
    if heads is None:
        raise InvalidCheckpoint(f"{place} does not say its n_heads: name it (--n_heads, the original's default is 16)")
    if n_heads is not None and n_heads != heads:
        raise InvalidCheckpoint(f"{place} has n_heads {heads}, the option says {n_heads}: leave the option out")
    try:
        seen = {
            "in_channels": state["vfn.proj_in.weight"].shape[1],
            "d_model": state["vfn.proj_in.weight"].shape[0],
            "depth": len({name.split(".")[2] for name in state if name.startswith("vfn.blocks.")}),
            "xcodec_dim": state["aligner.xcodec_aligner.proj.weight"].shape[1],
            "mae_dim": state["aligner.mae_aligner.proj.weight"].shape[1],
        }
    except (KeyError, IndexError) as error:
        raise InvalidCheckpoint(f"{place} is no whole {LEGACY_ARCHITECTURE}: {error} is missing") from error
    wrong = [
        f"{name} {said[name]} but weights of {seen[name]}" for name in seen if said.get(name, seen[name]) != seen[name]
    ]
    if wrong:
        raise InvalidCheckpoint(f"{place} contradicts itself: its meta says {'; '.join(wrong)}")
    return LegacyConfig(n_heads=int(heads), **seen)


def legacy_model(config: LegacyConfig, state: State, place: str) -> LegacyModel:
    """The network with these weights, every one of which must fit, in evaluation mode.

    Raises:
        InvalidCheckpoint: a weight is missing, too many, or of another shape.
    """
    model = LegacyModel(config)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidCheckpoint(f"The weights at {place} are no {LEGACY_ARCHITECTURE}: {reason}") from error
    return model.eval()


def _split(content: Mapping[str, Any], which: str, place: str) -> tuple[State, State] | None:
    """Backbone and aligner of one set, without prefixes; the aligner may be empty."""
    if backbone := content.get(f"{which}_backbone_state"):
        return dict(backbone), dict(content.get(f"{which}_aligner_state") or {})
    combined = content.get(f"{which}_state")
    if not combined:
        return None
    if strange := sorted(name for name in combined if not name.startswith((VFN, ALIGNER))):
        raise InvalidCheckpoint(
            f"{place} has {len(strange)} tensors in {which}_state that no network of the original has, as "
            f"{strange[0]}: expected names under {VFN} and {ALIGNER} only; remove the others if they are not needed"
        )
    return _under(combined, VFN), _under(combined, ALIGNER)


def _aligner_alone(content: Mapping[str, Any]) -> State:
    """The trained aligner of a file that has no trained backbone."""
    return dict(content.get("model_aligner_state") or {}) or _under(content.get("model_state") or {}, ALIGNER)


def _under(state: Mapping[str, Tensor], prefix: str) -> State:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _joined(backbone: State, aligner: State) -> State:
    return {VFN + name: tensor for name, tensor in backbone.items()} | {
        ALIGNER + name: tensor for name, tensor in aligner.items()
    }
