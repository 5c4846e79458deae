import io
import os
import re
from pathlib import Path

import pytest
import torch

from audiobuff_core.errors import CheckpointNotFound, InvalidCheckpoint, InvalidConfig
from audiobuff_core.flow.guidance import ALL_SHOWN, Guidance, GuidedField, Hidden
from audiobuff_core.flow.solver import integrate, time_grid
from audiobuff_core.inference.loading import load_checkpoint
from audiobuff_core.models.legacy import LegacyConfig
from audiobuff_core.models.model import ModelConfig, RestorationModel
from audiobuff_core.models.schema import load_model, statistics_tensors

LEGACY = Path(__file__).parents[2] / "fixtures" / "legacy"
WITH_EMA = ["checkpoint_epoch_3.pt", "component_only.pt", "legacy_combined.pt"]
ALL = [*WITH_EMA, "model_state_only.pt"]


@pytest.fixture(scope="module")
def reference() -> dict:
    return torch.load(LEGACY / "reference_io.pt", weights_only=True)


def _content(name: str) -> dict:
    return torch.load(LEGACY / name, weights_only=True)


def _saved(content: dict, folder: Path) -> Path:
    torch.save(content, folder / "checkpoint.pt")
    return folder / "checkpoint.pt"


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return float((one - other).abs().max()) <= 1e-5


@pytest.mark.parametrize("name", ALL)
def test_every_layout_gives_the_outputs_of_the_original(name: str, reference: dict) -> None:
    checkpoint = load_checkpoint(LEGACY / name)
    assert checkpoint.architecture == "lcfm-dit-v0"
    assert (
        checkpoint.sizes
        == LegacyConfig(in_channels=32, d_model=32, n_heads=4, depth=2, xcodec_dim=24, mae_dim=20).as_dict()
    )
    for weights in checkpoint.weight_sets:
        velocity = checkpoint.velocity(
            reference["x_t"], reference["t"], xcodec=reference["xcodec"], audiomae=reference["mae"], weights=weights
        )
        assert _close(velocity, reference[f"{weights}_velocity"])


def test_each_file_has_the_sets_that_are_in_it() -> None:
    assert {name: set(load_checkpoint(LEGACY / name).weight_sets) for name in ALL} == {
        **{name: {"ema", "model"} for name in WITH_EMA},
        "model_state_only.pt": {"model"},
    }


@pytest.mark.parametrize("name", WITH_EMA)
def test_guided_euler_steps_end_where_the_original_ended(name: str, reference: dict) -> None:
    checkpoint = load_checkpoint(LEGACY / name)
    xcodec, mae = reference["xcodec"], reference["mae"]

    def field(x_t: torch.Tensor, t: torch.Tensor, branches: tuple[Hidden, ...] = (ALL_SHOWN,)) -> torch.Tensor:
        rows = zip(x_t.chunk(len(branches)), t.chunk(len(branches)), branches, strict=True)
        return torch.cat(
            [
                checkpoint.velocity(
                    x, now, xcodec=None if hidden.structure else xcodec, audiomae=None if hidden.semantic else mae
                )
                for x, now, hidden in rows
            ]
        )

    guided = GuidedField(field, Guidance(scale=reference["cfg"]))
    assert _close(integrate(guided, reference["x_0"], time_grid(reference["steps"])), reference["ema_euler"])


def test_asking_for_an_average_that_is_not_there_says_so(reference: dict) -> None:
    checkpoint = load_checkpoint(LEGACY / "model_state_only.pt")
    with pytest.raises(InvalidCheckpoint, match=r"model_state_only.pt has no averaged \(EMA\) weights"):
        checkpoint.velocity(reference["x_t"], reference["t"], xcodec=None, audiomae=None, weights="ema")
    with pytest.raises(InvalidConfig, match="expected ema or model"):
        checkpoint.velocity(reference["x_t"], reference["t"], xcodec=None, audiomae=None, weights="best")


@pytest.mark.parametrize("layout", ["component", "combined"])
def test_an_average_without_an_aligner_takes_the_trained_one(layout: str, tmp_path: Path) -> None:
    content = _content("checkpoint_epoch_3.pt")
    if layout == "component":
        kept = {name: content[name] for name in ("ema_backbone_state", "model_aligner_state", "meta")}
    else:
        ema = {name: tensor for name, tensor in content["ema_state"].items() if name.startswith("vfn.")}
        kept = {"ema_state": ema, "model_state": content["model_state"], "meta": content["meta"]}
    state = load_checkpoint(_saved(kept, tmp_path)).weight_sets["ema"]
    for name, tensor in state.items():
        source = content["ema_state"] if name.startswith("vfn.") else content["model_state"]
        assert torch.equal(tensor, source[name])


def test_the_component_layout_comes_before_the_combined_one(tmp_path: Path) -> None:
    content = _content("checkpoint_epoch_3.pt")
    content["ema_state"] = {name: torch.zeros_like(tensor) for name, tensor in content["ema_state"].items()}
    state = load_checkpoint(_saved(content, tmp_path)).weight_sets["ema"]
    assert torch.equal(state["vfn.proj_in.weight"], content["ema_backbone_state"]["proj_in.weight"])


def test_sizes_come_from_the_tensors_and_a_contradiction_names_both(tmp_path: Path) -> None:
    content = _content("model_state_only.pt")
    content["meta"]["xcodec_dim"] = 512
    with pytest.raises(InvalidCheckpoint, match="xcodec_dim 512 but weights of 24"):
        load_checkpoint(_saved(content, tmp_path))
    with pytest.raises(InvalidCheckpoint, match="n_heads 4, the option says 8"):
        load_checkpoint(LEGACY / "model_state_only.pt", n_heads=8)


def test_a_file_without_meta_needs_to_be_told_its_heads(tmp_path: Path, reference: dict) -> None:
    place = _saved({"model_state": _content("model_state_only.pt")["model_state"]}, tmp_path)
    with pytest.raises(InvalidCheckpoint, match="does not say its n_heads"):
        load_checkpoint(place)
    velocity = load_checkpoint(place, n_heads=4).velocity(
        reference["x_t"], reference["t"], xcodec=reference["xcodec"], audiomae=reference["mae"], weights="model"
    )
    assert _close(velocity, reference["model_velocity"])


def test_missing_and_surplus_weights_are_never_passed_over(tmp_path: Path, reference: dict) -> None:
    content = _content("model_state_only.pt")
    content["model_state"]["vfn.extra"] = torch.zeros(1)
    checkpoint = load_checkpoint(_saved(content, tmp_path))
    with pytest.raises(InvalidCheckpoint, match=r"vfn\.extra"):
        checkpoint.velocity(reference["x_t"], reference["t"], xcodec=None, audiomae=None, weights="model")
    del content["model_state"]["vfn.extra"], content["model_state"]["vfn.norm_out.bias"]
    with pytest.raises(InvalidCheckpoint, match=r"norm_out\.bias"):
        load_checkpoint(_saved(content, tmp_path)).network("model")
    del content["model_state"]["vfn.proj_in.weight"]
    with pytest.raises(InvalidCheckpoint, match=r"proj_in\.weight"):
        load_checkpoint(_saved(content, tmp_path))
    content = _content("model_state_only.pt")
    content["model_state"]["codec.extra"] = torch.zeros(1)
    with pytest.raises(InvalidCheckpoint, match=r"1 tensors in model_state .* codec\.extra"):
        load_checkpoint(_saved(content, tmp_path))


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidCheckpoint, match="'lcfm-dit-v9'"):
        load_checkpoint(_saved({"architecture": "lcfm-dit-v9"}, tmp_path))
    with pytest.raises(InvalidCheckpoint, match="found epoch, weights"):
        load_checkpoint(_saved({"epoch": 1, "weights": {}}, tmp_path))


class _Evil:
    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.mark}",)


def test_pickled_code_is_refused_and_never_run(tmp_path: Path) -> None:
    place = _saved(_content("model_state_only.pt") | {"note": _Evil(str(tmp_path / "ran"))}, tmp_path)
    with pytest.raises(InvalidCheckpoint, match=r"pickled code, \w+\.system, which is refused") as refused:
        load_checkpoint(place)
    assert not (tmp_path / "ran").exists()
    assert "\n" not in str(refused.value)
    assert not re.search("weights_only", str(refused.value))


@pytest.mark.parametrize("kept", [0, 11, 4_000, 250_000, -200])
def test_a_cut_off_file_is_one_line(kept: int, tmp_path: Path) -> None:
    place = tmp_path / "cut.pt"
    place.write_bytes((LEGACY / "model_state_only.pt").read_bytes()[:kept])
    with pytest.raises(InvalidCheckpoint, match="no whole checkpoint") as refused:
        load_checkpoint(place)
    assert "\n" not in str(refused.value)


def test_other_files_and_no_file_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("hello world, I am no checkpoint")
    with pytest.raises(InvalidCheckpoint, match="no whole checkpoint"):
        load_checkpoint(tmp_path / "text.pt")
    with pytest.raises(InvalidCheckpoint, match="holds a list"):
        load_checkpoint(_saved([1, 2], tmp_path))  # type: ignore[arg-type]
    for place in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(CheckpointNotFound):
            load_checkpoint(place)


@pytest.mark.parametrize(
    "content",
    [
        {"schema_version": 3, "architecture": "lcfm-dit-v1"},
        {"schema_version": 3, "architecture": "lcfm-dit-v1", "config": {"model": 5}},
        {"model_state": 5},
        {"model_state": {"vfn.proj_in.weight": torch.zeros(3)}, "meta": {"n_heads": 4}},
        {"ema_state": torch.zeros(3)},
    ],
)
def test_what_is_laid_out_otherwise_is_one_line(content: dict, tmp_path: Path) -> None:
    with pytest.raises(InvalidCheckpoint, match=r"checkpoint\.pt") as refused:
        load_checkpoint(_saved(content, tmp_path))
    assert "\n" not in str(refused.value)


def test_streams_of_another_width_are_refused(reference: dict) -> None:
    checkpoint = load_checkpoint(LEGACY / "checkpoint_epoch_3.pt")
    with pytest.raises(InvalidConfig, match=r"xcodec of shape \[2, 10, 5\].*24"):
        checkpoint.velocity(reference["x_t"], reference["t"], xcodec=torch.zeros(2, 10, 5), audiomae=None)


def test_the_original_network_can_be_trained_on() -> None:
    network = load_checkpoint(LEGACY / "component_only.pt").network("model").train()
    network(
        torch.randn(1, 9, 32), torch.rand(1), torch.randn(1, 5, 24), torch.randn(1, 3, 20)
    ).square().mean().backward()
    assert [name for name, one in network.named_parameters() if one.grad is None or not one.grad.any()] == []


def _ours(export: Path, folder: Path) -> Path:
    """A training checkpoint of the export's network, whose plain weights differ from the average."""
    loaded = load_model(str(export))
    torch.manual_seed(5)
    model = RestorationModel(loaded.model.config)
    torch.nn.init.normal_(model.vfn.head.fields.weight)
    content = {
        "epoch": 2, "model_state": model.state_dict(), "ema_state": loaded.model.state_dict(), "schema_version": 3,
        "architecture": "lcfm-dit-v1", "train_state": {"step": 7}, "metrics": {"val_loss": 0.5},
        "config": {"model": loaded.model.config.as_dict(), "training": {"p_uncond": 0.15}, "meta": loaded.meta},
        **statistics_tensors(loaded.standardisers),
    }  # fmt: skip
    return _saved(content, folder)


def test_ours_loads_by_the_same_function(export: Path, tmp_path: Path) -> None:
    exported, trained = load_checkpoint(export), load_checkpoint(_ours(export, tmp_path))
    assert exported.architecture == trained.architecture == "lcfm-dit-v1"
    sizes = ModelConfig.from_dict(trained.sizes)
    x_t, t = torch.randn(2, 9, 512), torch.rand(2)
    streams = {"xcodec": torch.randn(2, 6, sizes.structure_dim), "audiomae": None}
    for checkpoint in (exported, trained):
        assert not checkpoint.velocity(x_t, t, damaged=x_t, **streams).any()  # the average is untrained
    assert trained.velocity(x_t, t, damaged=x_t, weights="model", **streams).any()
    with pytest.raises(InvalidCheckpoint, match="only `ema`"):
        exported.velocity(x_t, t, damaged=x_t, weights="model", **streams)
    with pytest.raises(InvalidConfig, match="needs the damaged"):
        trained.velocity(x_t, t, **streams)


def test_a_schema_of_the_future_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidCheckpoint, match="schema 4: expected 3"):
        load_checkpoint(_saved({"architecture": "lcfm-dit-v1", "schema_version": 4}, tmp_path))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    import pickle

    buffer = io.BytesIO()
    pickle.dump(_Evil(str(tmp_path / "ran")), buffer)
    (tmp_path / "bare.pt").write_bytes(buffer.getvalue())
    with pytest.raises(InvalidCheckpoint, match="refused"):
        load_checkpoint(tmp_path / "bare.pt")
    assert not (tmp_path / "ran").exists()
