"""Small networks with random weights, saved in the formats in which the real ones are published."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch

from audiobuff_core.codecs.dac_layout import to_transformers, transformers_config, unfold_weight_norm
from audiobuff_core.codecs.dac_network import build_descript

SMALL_DAC = {
    "encoder_dim": 8,
    "encoder_rates": [2, 4, 5],
    "decoder_dim": 64,
    "decoder_rates": [5, 4, 2],
    "n_codebooks": 4,
    "codebook_size": 64,
    "codebook_dim": 4,
    "sample_rate": 16_000,
}
PUBLISHED_DAC: dict[str, dict[str, Any]] = {
    "44khz": {"n_codebooks": 9, "sample_rate": 44_100},
    "24khz": {
        "encoder_rates": [2, 4, 5, 8],
        "decoder_rates": [8, 5, 4, 2],
        "n_codebooks": 32,
        "sample_rate": 24_000,
    },
    "16khz": {
        "encoder_rates": [2, 4, 5, 8],
        "decoder_rates": [8, 5, 4, 2],
        "n_codebooks": 12,
        "sample_rate": 16_000,
    },
}
DEFAULT_DAC = {
    "encoder_dim": 64,
    "encoder_rates": [2, 4, 8, 8],
    "decoder_dim": 1536,
    "decoder_rates": [8, 8, 4, 2],
    "codebook_size": 1024,
    "codebook_dim": 8,
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


def quiet_import(module: str) -> Any:
    """A package that warns at import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return __import__(module, fromlist=["_"])


def save_audiomae(folder: Path, *, depth: int = 2, heads: int = 2, width: int = 32, seed: int = 0) -> None:
    """A vision transformer for AudioMAE's pictures, as a folder of the hub."""
    timm = quiet_import("timm")
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    arguments = {"img_size": [1024, 128], "in_chans": 1}
    small = {} if width == 768 else {"depth": depth, "num_heads": heads, "embed_dim": width}
    model = timm.create_model("vit_base_patch16_224", num_classes=0, **arguments, **small)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architecture": "vit_base_patch16_224",
        "num_classes": 0,
        "num_features": width,
        "model_args": arguments | small,
        "pretrained_cfg": {"input_size": [1, 1024, 128], "num_classes": 0, "first_conv": "patch_embed.proj"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})


SMALL_XCODEC: dict[str, Any] = {
    "target_bandwidths": [0.5, 1.2],
    "codebook_size": 64,
    "acoustic_model_config": {
        "model_type": "dac",
        "encoder_hidden_size": 4,
        "decoder_hidden_size": 32,
        "hidden_size": 16,
        "downsampling_ratios": [8, 5, 4, 2],
        "upsampling_ratios": [8, 5, 4, 2],
    },
    "semantic_model_config": {
        "model_type": "hubert",
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "conv_dim": [8, 8, 8, 8, 8, 8, 8],
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
    },
}


def save_xcodec(folder: Path, config: dict[str, Any], seed: int = 0) -> None:
    """An X-Codec with random weights and codebooks, as a folder of the hub."""
    from transformers import XcodecConfig, XcodecModel

    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = XcodecModel(XcodecConfig(**config)).eval()
        with torch.no_grad():
            for stage in model.quantizer.quantizers:
                stage.codebook.embed.normal_()
        model.save_pretrained(folder)
