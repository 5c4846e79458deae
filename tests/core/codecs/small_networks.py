"""Small networks with random weights, saved in the formats in which the real ones are published."""

import sys
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))
import random_weights
from random_weights import PUBLISHED_DAC, save_descript, save_transformers, save_xcodec

__all__ = [
    "PUBLISHED_DAC", "SMALL_DAC", "SMALL_XCODEC", "quiet_import", "random_weights",
    "save_audiomae", "save_descript", "save_transformers", "save_xcodec",
]  # fmt: skip

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


def save_audiomae(folder: Path) -> None:
    """A vision transformer for AudioMAE's pictures, 32 wide, as a folder of the hub."""
    random_weights.save_audiomae(folder, small={"depth": 2, "num_heads": 2, "embed_dim": 32})


def quiet_import(module: str) -> Any:
    """A package that warns at import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return __import__(module, fromlist=["_"])
