"""The published encoders in their full sizes with random weights, for trying everything where nothing can be fetched.

    uv run python scripts/random_weights.py DIR && export AUDIOBUFF_WEIGHTS=DIR

DIR is then a weights folder as `audiobuff fetch-weights --to DIR` leaves it, in the formats of the publishers, and
every command runs as it does with the real weights: as long, in as much memory. What it restores is noise.
"""

import argparse
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from audiobuff_core.codecs.dac_layout import to_transformers, transformers_config, unfold_weight_norm
from audiobuff_core.codecs.dac_network import build_descript
from audiobuff_core.codecs.weights import PUBLISHED

# The keyword arguments in the releases' files, by the names of `fetch-weights`.
_DAC: Final = {"encoder_dim": 64, "decoder_dim": 1536, "codebook_size": 1024, "codebook_dim": 8}
_HOP_320: Final = {"encoder_rates": [2, 4, 5, 8], "decoder_rates": [8, 5, 4, 2]}
PUBLISHED_DAC: Final[dict[str, dict[str, Any]]] = {
    "dac": _DAC
    | {"encoder_rates": [2, 4, 8, 8], "decoder_rates": [8, 8, 4, 2], "n_codebooks": 9, "sample_rate": 44_100},
    "dac-24khz": _DAC | _HOP_320 | {"n_codebooks": 32, "sample_rate": 24_000},
    "dac-16khz": _DAC | _HOP_320 | {"n_codebooks": 12, "sample_rate": 16_000},
}


def save_descript(path: Path, kwargs: dict[str, Any], seed: int = 0) -> dict[str, torch.Tensor]:
    """A `.pth` as descript releases it; the state that was saved."""
    torch.manual_seed(seed)
    model = build_descript(kwargs)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("alpha"):
                value.uniform_(0.5, 2.0)  # random ones are all 1: swapped layers would not be noticed
            elif name.endswith("bias"):
                value.normal_(std=0.005)
            elif value.ndim == 3 and not name.startswith("quantizer"):
                # The initial weights are so small that everything would fall to the same code.
                transposed = name.startswith("decoder") and name.endswith("block.1.weight") and name.count("block") == 1
                value.normal_(std=0.8 * (2 * len(value) if transposed else value[0].numel()) ** -0.5)
    state = unfold_weight_norm({name: value.clone() for name, value in model.state_dict().items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": state, "metadata": {"kwargs": kwargs}}, path)
    return state


def save_transformers(folder: Path, kwargs: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
    """The same weights as a folder of the hub."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "dac", "architectures": ["DacModel"], **transformers_config(kwargs)}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {name: value.contiguous() for name, value in to_transformers(state).items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def save_audiomae(folder: Path, *, small: dict[str, int] | None = None, seed: int = 0) -> None:
    """A vision transformer for AudioMAE's pictures, as a folder of the hub; `small` are timm's arguments for less."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import timm
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    arguments = {"img_size": [1024, 128], "in_chans": 1, **(small or {})}
    model = timm.create_model("vit_base_patch16_224", num_classes=0, **arguments)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architecture": "vit_base_patch16_224",
        "num_classes": 0,
        "num_features": model.num_features,
        "model_args": arguments,
        "pretrained_cfg": {"input_size": [1, 1024, 128], "num_classes": 0, "first_conv": "patch_embed.proj"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})


def save_xcodec(folder: Path, config: dict[str, Any] | None = None, seed: int = 0) -> None:
    """An X-Codec with random weights and codebooks, as a folder of the hub; `config` differs from the published one."""
    from transformers import XcodecConfig, XcodecModel

    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = XcodecModel(XcodecConfig(**(config or {}))).eval()
        with torch.no_grad():
            for stage in model.quantizer.quantizers:
                stage.codebook.embed.normal_()
        model.save_pretrained(folder)


def save_published(root: Path, names: Sequence[str] = ("dac", "xcodec", "audiomae"), seed: int = 0) -> None:
    """Those of the published encoders called `names`, laid out as a weights folder."""
    for name in names:
        place = root / PUBLISHED[name].place
        if name in PUBLISHED_DAC:
            save_descript(place, PUBLISHED_DAC[name], seed)
        elif name == "xcodec":
            save_xcodec(place, seed=seed)
        else:
            save_audiomae(place, seed=seed)


def main() -> None:
    """Write what the command line names."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("folder", type=Path, metavar="DIR")
    made.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(PUBLISHED)} (default: one of each kind)")
    arguments = made.parse_args()
    unknown = sorted(set(arguments.names) - set(PUBLISHED))
    if unknown:
        made.error(f"unknown: {', '.join(unknown)}; expected {', '.join(PUBLISHED)}")
    save_published(arguments.folder, arguments.names or ("dac", "xcodec", "audiomae"))
    print(f"export AUDIOBUFF_WEIGHTS={arguments.folder.resolve()}")


if __name__ == "__main__":
    main()
