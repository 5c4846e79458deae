import json
from pathlib import Path

import pytest
import torch

from audiobuff_assets import cli
from audiobuff_core.inference.loading import load_checkpoint
from audiobuff_core.models.model import STREAMS, ModelConfig, RestorationModel, Standardiser
from audiobuff_core.models.schema import load_model, statistics_tensors

LEGACY = Path(__file__).parents[2] / "fixtures" / "legacy"
COMPONENT = str(LEGACY / "component_only.pt")


@pytest.fixture
def ours(tmp_path: Path) -> str:
    """A small training checkpoint of ours, whose average differs from its plain weights."""
    config = ModelConfig(latent_dim=6, structure_dim=3, semantic_dim=4, d_model=8, n_heads=2, depth=1, hidden_dim=8)
    torch.manual_seed(0)
    model, average = RestorationModel(config), RestorationModel(config)
    ones = {
        stream: Standardiser(torch.zeros(dim), torch.ones(dim)) for stream, dim in zip(STREAMS, (6, 3, 4), strict=True)
    }
    meta = {
        "profile": "test",
        "snapshot_digest": "ab" * 32,
        "encoders": {"codec": "builtin"},
        "inference": {"steps": 2},
    }
    content = {
        "epoch": 2, "model_state": model.state_dict(), "ema_state": average.state_dict(), "schema_version": 3,
        "architecture": "lcfm-dit-v1", "train_state": {"step": 7}, "metrics": {"val_loss": 0.5},
        "config": {"model": config.as_dict(), "training": {"p_uncond": 0.15}, "meta": meta},
        **statistics_tensors(ones),
    }  # fmt: skip
    torch.save(content, tmp_path / "checkpoint_best.pt")
    return str(tmp_path / "checkpoint_best.pt")


def _said(capsys, *argv: str) -> str:
    assert cli.main(list(argv)) == 0
    return str(capsys.readouterr().out)


def test_inspect_says_what_the_original_wrote(capsys) -> None:
    said = _said(capsys, "inspect", COMPONENT)
    assert "of the original AudioBuff, component layout" in said
    assert "lcfm-dit-v0" in said
    assert "xcodec_dim 24" in said
    assert "n_heads 4" in said
    assert "epoch          3" in said


def test_inspect_as_json_counts_the_parameters(capsys, ours: str) -> None:
    facts = json.loads(_said(capsys, "inspect", ours, "--json"))
    sizes = ModelConfig.from_dict(facts["sizes"])
    assert facts["parameters"] == RestorationModel(sizes).num_parameters()
    assert facts["weights"] == ["ema", "model"]
    assert facts["kind"] == "training checkpoint of AudioBuff"
    assert facts["train_state"] == {"step": 7}


def test_an_export_of_the_original_gives_its_averaged_velocity(capsys, tmp_path: Path) -> None:
    _said(capsys, "export", COMPONENT, str(tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md", "config.json", "weights.safetensors",
    ]  # fmt: skip
    reference = torch.load(LEGACY / "reference_io.pt", weights_only=True)
    exported = load_checkpoint(tmp_path / "out")
    assert exported.architecture == "lcfm-dit-v0"
    velocity = exported.velocity(
        reference["x_t"], reference["t"], xcodec=reference["xcodec"], audiomae=reference["mae"]
    )
    assert float((velocity - reference["ema_velocity"]).abs().max()) <= 1e-5
    assert "inference export of the original" in _said(capsys, "inspect", str(tmp_path / "out"))


def test_an_export_of_ours_is_the_average_and_its_card_names_what_it_is(capsys, ours: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    _said(capsys, "export", ours, str(folder))
    state = load_model(str(folder)).model.state_dict()
    for name, tensor in torch.load(ours, weights_only=True)["ema_state"].items():
        assert torch.equal(state[name], tensor)
    card = (folder / "README.md").read_text()
    for part in ("lcfm-dit-v1", "averaged (EMA)", "ab" * 32, "codec encoder | builtin", "val_loss | 0.5"):
        assert part in card
    assert json.loads((folder / "config.json").read_text())["weights_sha256"] in card


def test_plain_weights_are_exported_only_when_asked_for(capsys, ours: str, tmp_path: Path) -> None:
    _said(capsys, "export", ours, str(tmp_path / "out"), "--weights", "model")
    state, content = load_model(str(tmp_path / "out")).model.state_dict(), torch.load(ours, weights_only=True)
    assert torch.equal(state["vfn.proj_in.weight"], content["model_state"]["vfn.proj_in.weight"])
    assert not torch.equal(state["vfn.proj_in.weight"], content["ema_state"]["vfn.proj_in.weight"])
    plain = str(LEGACY / "model_state_only.pt")
    assert cli.main(["export", plain, str(tmp_path / "legacy")]) == 1
    assert "no averaged (EMA) weights" in capsys.readouterr().err
    _said(capsys, "export", plain, str(tmp_path / "legacy"), "--weights", "model")
    assert set(load_checkpoint(tmp_path / "legacy").weight_sets) == {"model"}


def test_an_export_may_be_replaced_but_other_files_never(capsys, ours: str, tmp_path: Path) -> None:
    folder, mine = tmp_path / "out", tmp_path / "mine"
    _said(capsys, "export", COMPONENT, str(folder))
    _said(capsys, "export", ours, str(folder))
    assert load_checkpoint(folder).architecture == "lcfm-dit-v1"
    mine.mkdir()
    (mine / "README.md").write_text("mine")
    assert cli.main(["export", ours, str(mine)]) == 1
    assert "choose a new or empty folder" in capsys.readouterr().err
    assert [path.name for path in mine.iterdir()] == ["README.md"]
    assert cli.main(["export", ours, ours]) == 1
    assert "is a file" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["inspect"], ["export"]])
def test_what_is_no_checkpoint_is_one_line(capsys, command: list[str], tmp_path: Path) -> None:
    (tmp_path / "cut.pt").write_bytes(Path(COMPONENT).read_bytes()[:9000])
    for place in ("cut.pt", "none.pt", "."):
        rest = [str(tmp_path / "out")] if command == ["export"] else []
        assert cli.main([*command, str(tmp_path / place), *rest]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_changed_export_of_the_original_is_refused(capsys, tmp_path: Path) -> None:
    _said(capsys, "export", COMPONENT, str(tmp_path / "out"))
    weights = tmp_path / "out" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert cli.main(["inspect", str(tmp_path / "out")]) == 1
    assert "not the file that its config names" in capsys.readouterr().err


def test_export_in_whole_numbers(capsys, ours: str, tmp_path: Path) -> None:
    _said(capsys, "export", ours, str(tmp_path / "full"))
    _said(capsys, "export", ours, str(tmp_path / "small"), "--int8")
    full, small = (load_model(str(tmp_path / name)).model.state_dict() for name in ("full", "small"))
    for name, tensor in full.items():
        if tensor.ndim < 2:
            assert torch.equal(small[name], tensor)
        else:
            step = tensor.flatten(1).abs().amax(dim=1) / 127
            assert ((small[name] - tensor).flatten(1).abs() <= 0.51 * step[:, None]).all()
            assert not torch.equal(small[name], tensor) or not tensor.any()
    sizes = [(tmp_path / name / "weights.safetensors").stat().st_size for name in ("full", "small")]
    assert sizes[1] < 0.6 * sizes[0]
    assert cli.main(["export", COMPONENT, str(tmp_path / "old"), "--int8"]) == 1
    assert "--int8: the original's network is kept as it was" in capsys.readouterr().err


def test_export_in_half_precision(capsys, ours: str, tmp_path: Path) -> None:
    _said(capsys, "export", ours, str(tmp_path / "full"))
    _said(capsys, "export", ours, str(tmp_path / "half"), "--half")
    full, half = (load_model(str(tmp_path / name)).model.state_dict() for name in ("full", "half"))
    assert all(torch.equal(half[name], tensor.half().float()) for name, tensor in full.items())
    assert cli.main(["export", COMPONENT, str(tmp_path / "old"), "--half"]) == 1
    assert "leave it out" in capsys.readouterr().err


def _changed(place: str, to: Path, **changes: object) -> str:
    content = torch.load(place, weights_only=True)
    content["ema_state"] = {name: value + 1.0 for name, value in content["ema_state"].items()}
    torch.save(content | changes, to)
    return str(to)


def test_the_mean_of_two_trainings_counts_each_as_much_as_it_is_told(capsys, ours: str, tmp_path: Path) -> None:
    later = _changed(ours, tmp_path / "later.pt")
    said = _said(capsys, "export", ours, str(tmp_path / "mean"), "--mean_with", f"{later}=3")
    assert f"ema weights of {ours} and {later}" in said
    alone, mean = torch.load(ours, weights_only=True)["ema_state"], load_model(str(tmp_path / "mean"))
    for name, value in mean.model.state_dict().items():
        assert torch.allclose(value, alone[name] + 0.75, atol=1e-6), name
    assert [one["share"] for one in mean.meta["mean_of"]] == [1.0, 3.0]
    assert mean.meta["mean_of"][0]["snapshot_digest"] == "ab" * 32


def test_a_mean_with_what_does_not_go_together_is_refused(capsys, ours: str, tmp_path: Path) -> None:
    content = torch.load(ours, weights_only=True)
    moved = {
        name: value + 1.0 for name, value in content.items() if name.endswith("mean") and name.startswith("latent")
    }
    cases = {
        f"{ours}=0": "expected a share above 0",
        COMPONENT: "another network",
        _changed(ours, tmp_path / "other.pt", **moved): "other latents",
    }
    for given, reason in cases.items():
        assert cli.main(["export", ours, str(tmp_path / "out"), "--mean_with", given]) == 1
        assert reason in capsys.readouterr().err
    assert cli.main(["export", ours, str(tmp_path / "out"), "--mean_with", ours, f"{ours}=2"]) == 1
    assert "named twice" in capsys.readouterr().err
    assert cli.main(["export", COMPONENT, str(tmp_path / "out"), "--mean_with", ours]) == 1
    assert "no means" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
