import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from audiobuff_core.data.dataset import Batch, LatentDataset, collate
from audiobuff_core.data.snapshot import Snapshot
from audiobuff_core.models.backbone import Prediction
from audiobuff_core.models.schema import read_checkpoint
from audiobuff_core.training.cli import main
from audiobuff_core.training.config import PROFILES, config_for
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.draws import draw
from audiobuff_core.training.interruption import TrainingInterrupted
from audiobuff_core.training.objective import batch_error, step_loss
from audiobuff_core.training.run import _trainer, train

ONE = Ranks(rank=0, world_size=1, device=torch.device("cpu"))


def _train(snapshot: Snapshot, folder: Path, **overrides: Any) -> dict[str, Any]:
    config = config_for("test", overrides)
    return train(
        config, profile="test", snapshot_url=snapshot.path, folder_url=str(folder), ranks=ONE, on_log=lambda row: None
    )


def _files(folder: Path) -> dict[str, bytes]:
    return {place.name: place.read_bytes() for place in folder.iterdir() if place.name != "timing.json"}


def test_training_learns_and_leaves_what_it_promises(snapshot: Snapshot, tmp_path: Path) -> None:
    done = _train(snapshot, tmp_path, max_steps=60, save_every_epochs=2)
    rows = [json.loads(line) for line in (tmp_path / "training_log.jsonl").read_text().splitlines()]
    validations = [row["val_loss"] for row in rows if "val_loss" in row]
    assert len(validations) >= 2
    assert validations[-1] < 0.9 * validations[0]
    assert done["steps"] == 60
    assert done["skipped_steps"] == 0
    assert done["val_loss"] == min(validations)
    names = set(_files(tmp_path))
    assert {"checkpoint_best.pt", "weights.safetensors", "config.json", "done.json"} < names
    assert len([name for name in names if name.startswith("checkpoint_epoch_")]) == 2
    assert "checkpoint_resume.pt" not in names


def test_the_same_seed_leaves_the_same_files(snapshot: Snapshot, tmp_path: Path) -> None:
    for name in ("one", "two"):
        _train(snapshot, tmp_path / name)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    _train(snapshot, tmp_path / "three", seed=1)
    assert _files(tmp_path / "three")["weights.safetensors"] != _files(tmp_path / "one")["weights.safetensors"]


def test_a_finished_run_is_not_trained_again(snapshot: Snapshot, tmp_path: Path) -> None:
    first = _train(snapshot, tmp_path)
    before = {place: place.stat().st_mtime_ns for place in tmp_path.iterdir()}
    assert _train(snapshot, tmp_path) == first
    assert {place: place.stat().st_mtime_ns for place in tmp_path.iterdir()} == before


def test_lost_weights_are_exported_again(snapshot: Snapshot, tmp_path: Path) -> None:
    _train(snapshot, tmp_path)
    before = _files(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    _train(snapshot, tmp_path)
    assert _files(tmp_path) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_resumes_to_the_bit(snapshot: Snapshot, tmp_path: Path, number: signal.Signals) -> None:
    whole = _train(snapshot, tmp_path / "whole", max_steps=9)

    config = config_for("test", {"max_steps": 9})

    def stop(row: dict[str, Any]) -> None:
        if row["step"] == 4:
            os.kill(os.getpid(), number)

    options = {"profile": "test", "snapshot_url": snapshot.path, "folder_url": str(tmp_path / "part"), "ranks": ONE}
    with pytest.raises(TrainingInterrupted, match="after step 4"):
        train(config, **options, on_log=stop)
    assert not (tmp_path / "part" / "done.json").exists()
    assert train(config, **options, on_log=lambda row: None) == whole
    assert _files(tmp_path / "part") == _files(tmp_path / "whole")


def test_a_checkpoint_has_the_original_keys_and_plain_content(snapshot: Snapshot, tmp_path: Path) -> None:
    _train(snapshot, tmp_path)
    content = read_checkpoint(str(tmp_path / "checkpoint_best.pt"))
    original = {"epoch", "model_state", "ema_state", "optimizer_state", "model_backbone_state", "model_aligner_state"}
    assert original | {"ema_backbone_state", "ema_aligner_state", "meta"} <= set(content)
    ours = {"schema_version", "architecture", "config", "train_state", "scaler_state", "scheduler_state", "rng_state"}
    ours |= {"ema_updates", "latent_mean", "latent_std", "manifest_hash", "metrics"}
    assert ours <= set(content)
    assert set(content["meta"]) == {
        "profile", "in_channels", "d_model", "n_heads", "depth", "xcodec_dim", "mae_dim", "p_uncond",
    }  # fmt: skip
    assert all(name.startswith(("vfn.", "aligner.")) for name in content["ema_state"])
    assert content["train_state"]["step"] == PROFILES["test"].max_steps


def test_loss_and_gradients_do_not_depend_on_how_a_step_is_split(snapshot: Snapshot) -> None:
    """One batch of four, or four of one: the same gradients, though the segments differ in length."""
    config = config_for("test", {"batch_size": 4, "segment_frames": 40, "ratio_weight": 0.1})
    trainer = _trainer(config, "test", snapshot, "memory://split", ONE, lambda row: None)
    dataset = LatentDataset(snapshot, "train", segment_frames=40)
    counters = [0, 1, 2, 3]
    segments = [dataset.segment(slot, 5, slot) for slot in counters]
    assert len({len(segment.clean.times) for segment in segments}) == 1
    short = segments[0]
    segments[0] = dataset.segment_at(dataset.items[0], 20)
    assert len(segments[0].clean.times) < len(short.clean.times)
    total = sum(len(segment.clean.times) for segment in segments)

    def gradients(parts: list[list[int]]) -> list[torch.Tensor]:
        trainer.state.model.zero_grad()
        for part in parts:
            batch = collate([segments[index] for index in part])
            draws = draw(config, part, batch)
            error = batch_error(trainer.state.model, config, batch, draws, dataset.standardisers["target"])
            step_loss(error, config, total_frames=total, total_items=4).backward()
        return [p.grad.clone() for p in trainer.state.model.parameters() if p.grad is not None]

    for whole, split in zip(gradients([[0, 1, 2, 3]]), gradients([[0], [1], [2], [3]]), strict=True):
        assert torch.allclose(whole, split, atol=1e-6)


def test_above_the_band_of_a_recording_no_answer_is_wrong(snapshot: Snapshot) -> None:
    config = config_for("test", {"ratio_weight": 0.1})
    dataset = LatentDataset(snapshot, "train", segment_frames=20)
    batch = collate([dataset.segment(slot, 5, slot) for slot in (0, 1)])
    trained = torch.ones(2, 512, dtype=torch.bool)
    trained[0, 200:] = False
    limited = replace(batch, trained=trained)
    draws = draw(config, [0, 1], batch)

    def gradient(batch: Batch) -> torch.Tensor:
        answer = torch.zeros_like(batch.clean, requires_grad=True)
        error = batch_error(lambda *_: Prediction(answer, None), config, batch, draws, dataset.standardisers["target"])
        step_loss(error, config, total_frames=40, total_items=2).backward()
        assert answer.grad is not None
        return answer.grad

    whole, masked = gradient(batch), gradient(limited)
    assert (masked[0, :, 200:] == 0).all()
    assert (whole[0, :, 200:] != 0).any()
    assert torch.equal(masked[1], whole[1])
    assert (masked[0, :, :200] != 0).any()


def test_a_run_of_bad_steps_is_an_error_that_says_what_to_do(
    snapshot: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--snapshot", snapshot.path, "--checkpoint_dir", str(tmp_path), "--profile", "test"]
    assert main([*command, "--lr", "1e30", "--clip_norm", "1e30", "--max_bad_steps", "2", "--max_steps", "40"]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: The loss was not finite for 2 steps in a row")
    assert "lower --lr" in message


def test_another_run_in_the_same_folder_is_refused(
    snapshot: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _train(snapshot, tmp_path)
    arguments = ["--snapshot", snapshot.path, "--checkpoint_dir", str(tmp_path), "--profile", "test"]
    assert main([*arguments, "--d_model", "48"]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert "d_model is 32 there and 48 here" in message


def test_a_checkpoint_from_before_an_option_goes_on_as_it_began(snapshot: Snapshot, tmp_path: Path) -> None:
    """Sizes and options that it does not say are those that everything had then, the defaults."""
    _train(snapshot, tmp_path, max_steps=1)
    (tmp_path / "done.json").unlink()
    place = tmp_path / "checkpoint_epoch_1.pt"
    content = read_checkpoint(str(place))
    for part, name in (("model", "fusion_every"), ("model", "shared_modulation"), ("training", "scale_law")):
        del content["config"][part][name]
    torch.save(content, place)
    command = ["--snapshot", snapshot.path, "--checkpoint_dir", str(tmp_path), "--profile", "test", "--max_steps", "2"]
    assert main([*command, "--fusion_every", "2"]) == 1
    assert main(command) == 0
    assert json.loads((tmp_path / "done.json").read_text())["steps"] == 2


@pytest.mark.parametrize("lost", ["config", "optimizer_state", "ema_state"])
def test_a_checkpoint_that_lacks_something_is_one_line(
    snapshot: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str], lost: str
) -> None:
    _train(snapshot, tmp_path, max_steps=1)
    (tmp_path / "done.json").unlink()
    place = tmp_path / "checkpoint_epoch_1.pt"
    torch.save({name: kept for name, kept in read_checkpoint(str(place)).items() if name != lost}, place)
    arguments = ["--snapshot", snapshot.path, "--checkpoint_dir", str(tmp_path), "--profile", "test"]
    assert main([*arguments, "--max_steps", "2"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {place} ")
    assert error.count("\n") == 1


def test_a_missing_snapshot_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--snapshot", str(tmp_path / "none.json"), "--profile", "test"]) == 1
    assert capsys.readouterr().err.startswith("error: Nothing at")
