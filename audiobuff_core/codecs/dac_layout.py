"""DAC's weights in the two layouts in which they are published, and the way from one to the other.

`descript-audio-codec` keeps weight norm (`weight_g`, `weight_v`) and numbers its layers; `transformers` has plain
weights and names. The networks are the same (descript's dac/model/dac.py, transformers' models/dac).
"""

import re
from typing import Any, Final

import torch
from torch import Tensor

from audiobuff_core.errors import InvalidCheckpoint

State = dict[str, Tensor]

_UNIT: Final = {"0": "snake1", "1": "conv1", "2": "snake2", "3": "conv2"}
_ENCODER_BLOCK: Final = {"0": "res_unit1", "1": "res_unit2", "2": "res_unit3", "3": "snake1", "4": "conv1"}
_DECODER_BLOCK: Final = {"0": "snake1", "1": "conv_t1", "2": "res_unit1", "3": "res_unit2", "4": "res_unit3"}


def fold_weight_norm(state: State) -> State:
    """`state` with `weight` = g v / |v| for each weight-normed layer, written either way that torch has written it.

    Raises:
        InvalidCheckpoint: a layer lacks its v, or the two don't belong together.
    """
    folded: State = {}
    for name, tensor in state.items():
        old = name.removesuffix("weight_g")
        new = name.removesuffix("parametrizations.weight.original0")
        if old != name:
            folded[old + "weight"] = _normed(name, tensor, _partner(state, old + "weight_v"))
        elif new != name:
            folded[new + "weight"] = _normed(name, tensor, _partner(state, new + "parametrizations.weight.original1"))
        elif not name.endswith(("weight_v", "parametrizations.weight.original1")):
            folded[name] = tensor
    return folded


def _partner(state: State, name: str) -> Tensor:
    if name not in state:
        raise InvalidCheckpoint(f"Weight {name!r} is missing: the file is damaged or no DAC's; fetch it anew")
    return state[name]


def _normed(name: str, magnitude: Tensor, direction: Tensor) -> Tensor:
    expected = [len(direction) if direction.ndim else 0, *[1] * (direction.ndim - 1)]
    if list(magnitude.shape) != expected or magnitude.dtype != direction.dtype:  # torch would write beyond its memory
        raise InvalidCheckpoint(
            f"Weight {name!r} is {magnitude.dtype} {list(magnitude.shape)}, expected {direction.dtype} {expected}: the "
            "file is damaged or no DAC's; fetch it anew, or name another"
        )
    return torch._weight_norm(direction, magnitude, 0)  # what the layers themselves call


def unfold_weight_norm(state: State) -> State:
    """`state` with `weight_g` and `weight_v` for each convolution, as descript's layers hold them."""
    unfolded: State = {}
    for name, tensor in state.items():
        if name.endswith(".weight") and tensor.ndim == 3:
            unfolded[name + "_g"] = tensor.flatten(1).norm(dim=1)[:, None, None]
            unfolded[name + "_v"] = tensor
        else:
            unfolded[name] = tensor
    return unfolded


def to_transformers(state: State) -> State:
    """Descript's state, weight norm folded, under transformers' names.

    Raises:
        InvalidCheckpoint: a name that no DAC has.
    """
    folded = fold_weight_norm(state)
    depth = {part: _depth(folded, part) for part in ("encoder.block", "decoder.model")}
    return {_transformers_name(name, depth): tensor for name, tensor in folded.items()}


def to_descript(state: State) -> State:
    """Transformers' state under descript's names, with weight norm.

    Raises:
        InvalidCheckpoint: a name that no DAC has.
    """
    folded = fold_weight_norm(state)
    num_blocks = 1 + max(int(m[1]) for m in (re.match(r"encoder\.block\.(\d+)\.", key) for key in folded) if m)
    units = [f"{n}.block.{i}" for n in "012" for i in "0123"] + ["3", "4"]
    others = ["0", "1"] + [f"{n}.block.{i}" for n in "234" for i in "0123"]
    modules = {f"encoder.block.{b}.block.{unit}" for b in range(1, num_blocks + 1) for unit in units}
    modules |= {f"decoder.model.{b}.block.{unit}" for b in range(1, num_blocks + 1) for unit in others}
    modules |= {f"{p}.{i}" for p in ("encoder.block", "decoder.model") for i in (0, num_blocks + 1, num_blocks + 2)}
    depth = {"encoder.block": num_blocks + 2, "decoder.model": num_blocks + 2}
    back = {_transformers_name(f"{module}.x", depth).removesuffix(".x"): module for module in modules}
    renamed: State = {}
    for name, tensor in folded.items():
        module, _, parameter = name.rpartition(".")
        if name.startswith("quantizer."):
            renamed[name] = tensor
        elif module in back:
            renamed[f"{back[module]}.{parameter}"] = tensor
        else:
            raise InvalidCheckpoint(f"Weight {name!r} belongs to no DAC of transformers: expected a DacModel's weights")
    return unfold_weight_norm(renamed)


def _depth(state: State, part: str) -> int:
    """The number of the last layer of `part`."""
    numbers = [int(found[1]) for found in (re.match(rf"{re.escape(part)}\.(\d+)\.", key) for key in state) if found]
    if not numbers:
        raise InvalidCheckpoint(f"No weight is called {part}.N: expected the weights of a DAC by descript")
    return max(numbers)


def _transformers_name(name: str, depth: dict[str, int]) -> str:
    if name.startswith("quantizer."):
        return name
    part = name.rsplit(".", 1)[1]
    unit = re.fullmatch(r"(encoder\.block|decoder\.model)\.(\d+)\.block\.(\d)(?:\.block\.(\d))?\.\w+", name)
    outer = re.fullmatch(r"(encoder\.block|decoder\.model)\.(\d+)\.\w+", name)
    if unit:
        inner = (_ENCODER_BLOCK if unit[1] == "encoder.block" else _DECODER_BLOCK).get(unit[3], "")
        inside = f".{_UNIT[unit[4]]}" if unit[4] in _UNIT else ""
        return f"{unit[1].split('.')[0]}.block.{int(unit[2]) - 1}.{inner}{inside}.{part}"
    if outer:
        last = depth[outer[1]]
        place = {0: "conv1", last - 1: "snake1", last: "conv2"}.get(int(outer[2]))
        if place:
            return f"{outer[1].split('.')[0]}.{place}.{part}"
    raise InvalidCheckpoint(f"Weight {name!r} belongs to no DAC by descript: expected its release's weights")


def transformers_config(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The `DacConfig` fields of a descript network's keyword arguments.

    Raises:
        InvalidCheckpoint: a network that transformers can't express.
    """
    down, up = list(kwargs["encoder_rates"]), list(kwargs["decoder_rates"])
    if up != down[::-1] or not isinstance(kwargs["codebook_dim"], int):
        raise InvalidCheckpoint(
            f"A DAC with strides {down} and {up}: transformers has only mirrored ones with equal codebooks; "
            "load the .pth with descript-audio-codec"
        )
    return {
        "encoder_hidden_size": kwargs["encoder_dim"],
        "downsampling_ratios": down,
        "decoder_hidden_size": kwargs["decoder_dim"],
        "n_codebooks": kwargs["n_codebooks"],
        "codebook_size": kwargs["codebook_size"],
        "codebook_dim": kwargs["codebook_dim"],
        "sampling_rate": kwargs["sample_rate"],
    }
