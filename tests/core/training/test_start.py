"""Beginning with weights that are there: ours, an export, or the original's."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from audiobuff_core.data.dataset import LatentDataset
from audiobuff_core.data.snapshot import Snapshot
from audiobuff_core.inference.opened import open_model
from audiobuff_core.models.legacy import LegacyConfig, LegacyModel
from audiobuff_core.models.legacy_field import LegacyField
from audiobuff_core.models.model import ModelConfig
from audiobuff_core.models.schema import load_model, read_checkpoint
from audiobuff_core.models.stored import StoredWeights, read_weights
from audiobuff_core.training.cli import main
from audiobuff_core.training.config import config_for
from audiobuff_core.training.start import encoder_lines, options_from

LEGACY = Path(__file__).parents[2] / "fixtures" / "legacy"


def _train(snapshot: Snapshot, folder: Path, *more: str) -> int:
    return main(["--snapshot", snapshot.path, "--checkpoint_dir", str(folder), "--profile", "test", *more])


@pytest.fixture(scope="module")
def ours(snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ours")
    assert _train(snapshot, folder, "--d_model", "48") == 0
    return folder


@pytest.fixture(scope="module")
def original(snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in the original's combined layout, of the snapshot's widths but for AudioMAE's."""
    torch.manual_seed(1)
    dims = LatentDataset(snapshot, "train", segment_frames=32).dims
    sizes = {"in_channels": dims["target"], "d_model": dims["target"], "n_heads": 2, "depth": 1}
    sizes |= {"xcodec_dim": dims["structure"], "mae_dim": 20}
    model = LegacyModel(LegacyConfig(**sizes))
    path = tmp_path_factory.mktemp("original") / "checkpoint_epoch_3.pt"
    state = model.state_dict()
    torch.save({"epoch": 3, "model_state": state, "ema_state": state, "meta": {"profile": "poc", **sizes}}, path)
    return path


@pytest.mark.parametrize("kind", ["checkpoint_best.pt", "."])
def test_fine_tuning_begins_with_the_averaged_weights(
    snapshot: Snapshot, ours: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train(snapshot, tmp_path, "--init_from", str(ours / kind), "--lr", "0", "--weight_decay", "0") == 0
    said = capsys.readouterr().err
    assert "0 left, 0 new" in said
    assert "taken over: aligner.semantic (" in said
    before, after = load_model(str(ours)), load_model(str(tmp_path))
    assert after.model.config == before.model.config  # sizes too
    for name, tensor in before.model.state_dict().items():
        assert torch.allclose(after.model.state_dict()[name], tensor, atol=1e-6), name
    assert after.meta["init_from"]["architecture"] == "lcfm-dit-v1"


def test_what_is_denoised_first_stays_so(snapshot: Snapshot, ours: Path, tmp_path: Path) -> None:
    assert "denoised_first" not in load_model(str(ours)).meta["inference"]
    box = tmp_path / "box"
    shutil.copytree(ours, box, ignore=shutil.ignore_patterns("*.pt"))
    config = json.loads((box / "config.json").read_text())
    config["meta"]["inference"]["denoised_first"] = True
    (box / "config.json").write_text(json.dumps(config))
    assert _train(snapshot, tmp_path / "further", "--init_from", str(box), "--max_steps", "1") == 0
    assert load_model(str(tmp_path / "further")).meta["inference"]["denoised_first"] is True


def test_options_that_contradict_the_weights_name_both_values(
    snapshot: Snapshot, ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train(snapshot, tmp_path, "--init_from", str(ours), "--d_model", "64") == 1
    assert "--d_model 64 but the checkpoint has 48" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_fine_tuning_keeps_the_source_unless_another_is_asked_for() -> None:
    sizes = ModelConfig(latent_dim=6, structure_dim=3, semantic_dim=4, d_model=16, n_heads=2, depth=1, hidden_dim=16)
    stored = StoredWeights("here", "lcfm-dit-v1", sizes, None, {}, {"meta": {"source": "uncertainty"}})
    assert options_from(stored, {"source": None})["source"] == "uncertainty"
    assert options_from(stored, {"source": "noise"})["source"] == "noise"
    assert config_for("poc", options_from(stored, {})).p_tau == 1.0  # with the draws that suit it


def test_latents_of_encoders_that_the_weights_do_not_know_are_named(snapshot: Snapshot, ours: Path) -> None:
    encoders, stored = LatentDataset(snapshot, "train", segment_frames=32).encoders, read_weights(ours)
    assert encoder_lines(stored, encoders) == []
    stored.facts["meta"]["identities"]["structure"] = {"name": "xcodec", "revision": "1", "weights_hash": "0" * 64}
    (line,) = encoder_lines(stored, encoders)
    assert "structure is by builtin-structure-1-" in line
    assert "by xcodec-1-00000000 there" in line
    (line,) = encoder_lines(read_weights(LEGACY / "checkpoint_epoch_3.pt"), encoders)
    assert "does not say" in line


def test_beginning_with_other_weights_is_another_run(
    snapshot: Snapshot, ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A finished run is not passed off as one that began with the weights now named."""
    assert _train(snapshot, tmp_path, "--d_model", "48") == 0
    assert _train(snapshot, tmp_path, "--d_model", "48", "--init_from", str(ours)) == 1
    assert "init_from is None there and {" in capsys.readouterr().err


def test_the_original_is_trained_on_resumed_and_exported(
    snapshot: Snapshot, original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train(snapshot, tmp_path / "run", "--resume_path", str(original), "--max_steps", "1") == 0
    said = capsys.readouterr().err
    assert "not taken over: aligner.mae_aligner.proj.weight (it is [512, 20] there, [512, 128] here)" in said
    content = read_checkpoint(str(tmp_path / "run" / "checkpoint_best.pt"))
    assert content["architecture"] == "lcfm-dit-v0"
    assert content["config"]["training"]["source"] == "noise"
    assert not content["latent_mean"].any()  # the original standardised nothing
    stored = read_weights(tmp_path / "run" / "checkpoint_best.pt")
    assert stored.architecture == "lcfm-dit-v0"
    before = torch.load(original, weights_only=True)["model_state"]["vfn.proj_out.weight"]
    assert not torch.equal(stored.weight_sets["model"]["vfn.proj_out.weight"], before)
    exported = read_weights(tmp_path / "run")
    for name, tensor in content["ema_state"].items():
        assert torch.equal(exported.weight_sets["ema"][name], tensor)
    for place in ("run", "run/checkpoint_best.pt"):  # restored with the encoders that it was trained on with
        assert open_model(str(tmp_path / place)).meta["encoders"]["codec"] == "builtin"
    assert _train(snapshot, tmp_path / "run", "--resume_path", str(original), "--max_steps", "2") == 0
    assert read_checkpoint(str(tmp_path / "run" / "checkpoint_epoch_1.pt"))["train_state"]["step"] == 2


def test_sizes_that_the_original_can_not_have_are_one_line(
    snapshot: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train(snapshot, tmp_path, "--init_from", str(LEGACY / "checkpoint_epoch_3.pt")) == 1
    error = capsys.readouterr().err
    assert "d_model 32 but latents of width 512" in error
    assert error.count("\n") == 1


def test_the_original_network_in_our_call_gives_its_own_velocity() -> None:
    """The recorded velocity of the original, though its items are padded here and another one is dropped."""
    reference = torch.load(LEGACY / "reference_io.pt", weights_only=True)
    stored = read_weights(LEGACY / "component_only.pt")
    assert isinstance(stored.config, LegacyConfig)
    field = LegacyField(stored.config)
    field.load_state_dict(stored.weight_sets["ema"])
    velocity = _called(field, reference, pad=5)
    num_frames = reference["x_t"].shape[1]
    assert float((velocity[:, :num_frames] - reference["ema_velocity"]).abs().max()) < 1e-5
    assert not velocity[:, num_frames:].any()
    plain = LegacyModel(stored.config)
    plain.load_state_dict(stored.weight_sets["ema"])
    null = plain(reference["x_t"], reference["t"], None, None)
    dropped = _called(field, reference, pad=0, drop=True)
    assert torch.allclose(dropped, null, atol=1e-6)


def _called(field: LegacyField, reference: dict, *, pad: int, drop: bool = False) -> torch.Tensor:
    from audiobuff_core.models.conditioning import SideStream

    def padded(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        filled = torch.cat([values, torch.full((len(values), pad, values.shape[2]), 9.0)], dim=1)
        valid = torch.arange(filled.shape[1])[None].expand(len(values), -1) < values.shape[1]
        return filled, torch.zeros(valid.shape, dtype=torch.float64), valid

    def side(values: torch.Tensor) -> SideStream:
        return SideStream(*padded(values), torch.full((len(values),), drop))

    x_t, times, valid = padded(reference["x_t"])
    t = reference["t"]
    with torch.no_grad():
        return field(
            x_t, t, torch.ones_like(t), x_t, times, valid, side(reference["xcodec"]), side(reference["mae"])
        ).velocity
