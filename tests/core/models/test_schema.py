import pickle
from pathlib import Path

import pytest
import torch

from audiobuff_core.errors import CheckpointNotFound, InvalidCheckpoint
from audiobuff_core.models.model import STREAMS, ModelConfig, RestorationModel, Standardiser
from audiobuff_core.models.schema import load_model, read_checkpoint, write_export

CONFIG = ModelConfig(latent_dim=6, structure_dim=3, semantic_dim=4, d_model=16, n_heads=2, depth=1, hidden_dim=16)
STANDARDISERS = {
    stream: Standardiser(torch.full((dim,), 0.5), torch.full((dim,), 2.0))
    for stream, dim in zip(STREAMS, (6, 3, 4), strict=True)
}


def _export(folder: Path) -> RestorationModel:
    torch.manual_seed(1)
    model = RestorationModel(CONFIG)
    write_export(str(folder), model.state_dict(), CONFIG, STANDARDISERS, {"profile": "test"})
    return model


def test_an_export_comes_back_the_same(tmp_path: Path) -> None:
    model = _export(tmp_path)
    loaded = load_model(str(tmp_path))
    assert loaded.meta == {"profile": "test"}
    assert not loaded.model.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor), name
    assert torch.equal(loaded.standardisers["structure"].std, torch.full((3,), 2.0))


def test_the_same_weights_make_the_same_export(tmp_path: Path) -> None:
    _export(tmp_path / "one")
    _export(tmp_path / "two")
    for name in ("weights.safetensors", "config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_weights_that_are_not_those_of_the_config_are_refused(tmp_path: Path) -> None:
    _export(tmp_path)
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InvalidCheckpoint, match="not the file that its config names"):
        load_model(str(tmp_path))


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFound, match="train one first"):
        load_model(str(tmp_path))
    with pytest.raises(CheckpointNotFound, match="train one first"):
        read_checkpoint(str(tmp_path / "checkpoint_best.pt"))


def test_a_truncated_checkpoint_is_one_clear_line(tmp_path: Path) -> None:
    place = tmp_path / "checkpoint_best.pt"
    torch.save({"schema_version": 3, "weights": torch.zeros(1000)}, place)
    place.write_bytes(place.read_bytes()[:500])
    with pytest.raises(InvalidCheckpoint, match="no whole checkpoint"):
        read_checkpoint(str(place))


class _Payload:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (Path.write_text, (Path("executed"), "oops"))


def test_pickled_code_is_refused_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "checkpoint_best.pt"
    torch.save({"schema_version": 3, "trap": _Payload()}, place)
    with pytest.raises(InvalidCheckpoint):
        read_checkpoint(str(place))
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(_Payload(), protocol=2))
    with pytest.raises(InvalidCheckpoint):
        read_checkpoint(str(tmp_path / "plain.pt"))
    assert not (tmp_path / "executed").exists()


def test_another_schema_is_named(tmp_path: Path) -> None:
    torch.save({"schema_version": 2}, tmp_path / "old.pt")
    with pytest.raises(InvalidCheckpoint, match="schema 2: expected 3"):
        read_checkpoint(str(tmp_path / "old.pt"))


def test_half_an_export_is_half_as_large_and_loads_as_float32(tmp_path: Path) -> None:
    model = _export(tmp_path / "full")
    write_export(
        str(tmp_path / "half"), model.state_dict(), CONFIG, STANDARDISERS, {"profile": "test"}, storage="float16"
    )
    sizes = [(tmp_path / name / "weights.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    loaded = load_model(str(tmp_path / "half")).model.state_dict()
    for name, tensor in model.state_dict().items():
        assert loaded[name].dtype == torch.float32
        torch.testing.assert_close(loaded[name], tensor, atol=1e-6, rtol=1e-3)
