"""Networks that need no training: one that changes nothing, and one that changes all."""

from pathlib import Path

import pytest
import torch

from audiobuff_core.codecs.registry import EncoderChoice, load_codec, load_feature_encoder
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.models.model import ModelConfig, RestorationModel, Standardiser
from audiobuff_core.models.schema import load_model, write_export


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network (its velocity is zero everywhere) as training would have left it."""
    encoders = {
        "target": load_codec("builtin"),
        "structure": load_feature_encoder("structure", "builtin"),
        "semantic": load_feature_encoder("semantic", "builtin"),
    }
    dims = {"target": 512, "structure": encoders["structure"].feature_dim, "semantic": encoders["semantic"].feature_dim}
    config = ModelConfig(
        latent_dim=512, structure_dim=dims["structure"], semantic_dim=dims["semantic"], d_model=32, n_heads=2, depth=1,
        hidden_dim=32,
    )  # fmt: skip
    torch.manual_seed(0)
    standardisers = {stream: Standardiser(torch.zeros(dim), torch.ones(dim)) for stream, dim in dims.items()}
    meta = {
        "profile": "test",
        "snapshot_digest": "0" * 64,
        "encoders": EncoderChoice().as_dict(),
        "identities": {stream: encoder.identity.as_dict() for stream, encoder in encoders.items()},
        "source": "damaged",
        "inference": {"steps": 2, "tau": 0.0, "window_frames": 32},
    }
    folder = tmp_path_factory.mktemp("export")
    write_export(str(folder), RestorationModel(config).state_dict(), config, standardisers, meta)
    return folder


@pytest.fixture(scope="session")
def restorer(export: Path) -> Restorer:
    return Restorer.load(str(export))


@pytest.fixture(scope="session")
def changing_model(export, tmp_path_factory):
    """A network that changes what it hears."""
    loaded = load_model(str(export))
    bias = loaded.model.vfn.head.fields.bias
    bias.data += 0.03 * torch.randn(bias.shape, generator=torch.Generator().manual_seed(3))
    folder = str(tmp_path_factory.mktemp("changing"))
    write_export(folder, loaded.model.state_dict(), loaded.model.config, loaded.standardisers, loaded.meta)
    return folder
