"""DAC as published: a `.pth` of descript-audio-codec, or a folder of transformers, never a pickle that runs code."""

import math
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from audiobuff_core.codecs.dac_layout import fold_weight_norm
from audiobuff_core.codecs.file_hash import checked_hash
from audiobuff_core.codecs.hub_folder import check_config
from audiobuff_core.codecs.loaded import kept_while_unchanged
from audiobuff_core.codecs.snake import replace_snakes
from audiobuff_core.errors import EncoderUnavailable, InvalidCheckpoint


@dataclass(frozen=True, slots=True, eq=False)
class DacNetwork:
    """A DAC with its weight norm folded, ready to infer.

    Attributes:
        model: has `encoder`, `decoder` and `quantizer`, of either package.
        sample_rate: in Hz.
        hop_length: samples a frame, the product of the model's strides.
        weights_hash: SHA-256 of the file that the weights came from.
    """

    model: Any
    sample_rate: int
    hop_length: int
    weights_hash: str


@kept_while_unchanged
def load_dac_network(place: Path) -> DacNetwork:
    """The network at `place`: a folder is transformers', a file descript's.

    Raises:
        EncoderUnavailable: the package is missing.
        InvalidCheckpoint: the weights are truncated, of another network, or no weights at all.
    """
    return load_transformers(place) if place.is_dir() else load_descript(place)


def load_descript(path: Path) -> DacNetwork:
    """The network of a `.pth` as descript publishes it: `state_dict`, and `metadata` with the keyword arguments."""
    saved = _read_pth(path)
    weights_hash = checked_hash(path)
    try:
        state, kwargs = saved["state_dict"], dict(saved["metadata"]["kwargs"])
    except (KeyError, TypeError) as error:
        raise InvalidCheckpoint(
            f"{path} has no state_dict and metadata: expected a .pth of a descript-audio-codec release"
        ) from error
    model: Any = build_descript(kwargs)
    _load_state(model, fold_weight_norm(state), str(path))
    return DacNetwork(model.eval(), int(model.sample_rate), int(model.hop_length), weights_hash)


def build_descript(kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    """A `dac.DAC` of these keyword arguments with random weights and without weight norm."""
    import inspect

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it scripts and norms by functions that torch has deprecated
        try:
            from dac.model import DAC
        except ImportError as error:
            raise EncoderUnavailable(
                f"DAC needs the package descript-audio-codec, which can't be imported ({error}): "
                "pip install descript-audio-codec"
            ) from error
        known = inspect.signature(DAC).parameters
        model = DAC(**{name: value for name, value in kwargs.items() if name in known})
        for layer in model.modules():
            if hasattr(layer, "weight_g"):
                nn.utils.remove_weight_norm(layer)
    return model


def load_transformers(folder: Path) -> DacNetwork:
    """The network of a folder with `config.json` and `model.safetensors`, as on the hub."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        from transformers import DacConfig, DacModel
    except ImportError as error:
        raise EncoderUnavailable(
            f"{folder} needs the package transformers, which can't be imported ({error}): pip install "
            "'transformers>=5', or name a .pth of descript-audio-codec"
        ) from error

    check_config(folder, "model_type", "dac", name="DAC by transformers", fetch="descript/dac_44khz")
    weights = folder / "model.safetensors"
    try:
        model: Any = DacModel(DacConfig.from_json_file(str(folder / "config.json")))
        state = load_file(weights)
    except (OSError, ValueError, SafetensorError) as error:
        raise InvalidCheckpoint(
            f"{folder} is no whole DAC of transformers ({_first_line(error)}): expected config.json and "
            "model.safetensors; name another, or fetch it anew with `audiobuff fetch-weights descript/dac_44khz`"
        ) from error
    _load_state(model, fold_weight_norm(state), str(folder))
    # Of the strides that the layers have: a `hop_length` in the file would be taken at its word.
    hop_length = math.prod(model.config.downsampling_ratios)
    return DacNetwork(model.eval(), int(model.config.sampling_rate), hop_length, checked_hash(weights))


def _read_pth(path: Path) -> Any:  # noqa: ANN401
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise EncoderUnavailable(f"No DAC weights at {path}: run `audiobuff fetch-weights dac`") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise InvalidCheckpoint(
            f"{path} can't be read as weights: it is truncated, or no .pth of tensors alone; name another, or fetch it "
            "anew with `audiobuff fetch-weights dac`"
        ) from error


def _load_state(model: nn.Module, state: dict[str, torch.Tensor], place: str) -> None:
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise InvalidCheckpoint(
            f"The weights at {place} are of another network than their description ({_first_line(error)}): "
            "fetch both anew"
        ) from error
    model.requires_grad_(False)
    replace_snakes(model)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:200] or type(error).__name__
