"""Defects of the original's training and checkpoints that cannot come back; `test_original_defects.py` has the list.

Most train on latents that count: every channel of frame i is i (the target's: 3 i + 5, i for the clean one).
"""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed

from audiobuff_core import files
from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.registry import EncoderChoice, load_codec, load_feature_encoder
from audiobuff_core.data.dataset import LatentDataset
from audiobuff_core.data.snapshot import Snapshot, SnapshotItem
from audiobuff_core.data.store import LatentRecord, LatentStore
from audiobuff_core.errors import OutputNotWritable
from audiobuff_core.training.config import config_for
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.run import _trainer
from audiobuff_core.training.step import TrainingStep
from audiobuff_core.training.storage import CheckpointFolder
from audiobuff_core.training.trainer import Trainer

CPU = torch.device("cpu")
NUM_FRAMES = {"target": 200, "structure": 117, "semantic": 16}


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    encoders = {
        "target": load_codec("builtin"),
        "structure": load_feature_encoder("structure", "builtin"),
        "semantic": load_feature_encoder("semantic", "builtin"),
    }
    groups, statistics = {}, {}
    for stream, encoder in encoders.items():
        dim = encoder.latent_dim if stream == "target" else encoder.feature_dim
        counts = np.repeat(np.arange(NUM_FRAMES[stream], dtype=np.float32)[:, None], dim, axis=1)[None]
        rows = {"one/v0": counts} | ({"one/clean.v0": 3 * counts + 5} if stream == "target" else {})
        records = [
            LatentRecord(name, FrameSequence(torch.from_numpy(row), encoder.frame_rate), row)
            for name, row in rows.items()
        ]
        group = LatentStore(str(tmp_path / "latents")).write_group(
            stream, records, encoder=encoder.identity, rate=encoder.frame_rate, dim=dim, inputs=stream
        )
        groups[stream] = group.path
        statistics[stream] = ([5.0] * dim, [3.0] * dim) if stream == "target" else ([0.0] * dim, [1.0] * dim)
    items = tuple(
        SnapshotItem(track_id="one", audio_hash="a", variant=0, split=split, groups=groups, num_frames=200)
        for split in ("train", "validation")
    )
    return Snapshot(
        digest="d" * 64, path="made by hand", root="", items=items, shards=("s",), encoders=EncoderChoice(),
        identities={stream: encoder.identity for stream, encoder in encoders.items()},
        rates={stream: Fraction(encoder.frame_rate) for stream, encoder in encoders.items()}, statistics=statistics,
    )  # fmt: skip


def _made(snapshot: Snapshot, folder: Path, ranks: Ranks | None = None, **overrides: object) -> Trainer:
    config = config_for("test", {"max_steps": 2, "batch_size": 1, "ema_decay": 0.5, **overrides})
    return _trainer(config, "test", snapshot, str(folder), ranks or Ranks(0, 1, CPU), lambda row: None)


def _weights(model: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def test_each_stream_is_cut_by_its_own_clock(snapshot: Snapshot) -> None:
    dataset = LatentDataset(snapshot, "train", segment_frames=64)
    segment, begin = dataset.segment_at(dataset.items[0], 90), 90 / (44_100 / 512)
    for stream, rate in (("structure", 50.0), ("semantic", 6.25)):
        stretch = getattr(segment, stream)
        assert torch.allclose(stretch.values[:, 0].double() / rate - begin, stretch.times, atol=1e-6)
        assert float(stretch.times[0]) <= 0 < float(stretch.times[1])
        assert float(stretch.times[-1]) >= 64 / (44_100 / 512) - 1 / rate
    assert torch.allclose(segment.clean.times, torch.arange(64, dtype=torch.float64) / (44_100 / 512), atol=1e-9)


def test_training_sees_standardised_latents(snapshot: Snapshot) -> None:
    dataset = LatentDataset(snapshot, "train", segment_frames=64)
    segment = dataset.segment_at(dataset.items[0], 90)
    assert torch.allclose(segment.clean.values[:, 0], torch.arange(90.0, 154.0))
    assert torch.allclose(segment.damaged.values[:, 0], (torch.arange(90.0, 154.0) - 5) / 3)


def test_a_skipped_step_leaves_weights_and_average(snapshot: Snapshot, tmp_path: Path) -> None:
    trainer = _made(snapshot, tmp_path / "run")
    first, second = trainer.feed.steps(0, 2)
    step = TrainingStep(trainer.config, trainer.state, trainer.ranks)
    before, average = _weights(trainer.state.model), _weights(trainer.state.ema.model)
    first[0][0].clean.fill_(torch.nan)
    assert not step.take(first, 1e-3).good
    assert trainer.state.position.skipped_steps == 1
    assert trainer.state.ema.num_updates == 0
    for old, new in ((before, trainer.state.model), (average, trainer.state.ema.model)):
        assert all(torch.equal(one, other) for one, other in zip(old, _weights(new), strict=True))
    assert step.take(second, 1e-3).good
    assert trainer.state.ema.num_updates == 1


def test_gradients_are_summed_over_ranks_once_a_step(snapshot: Snapshot, tmp_path: Path) -> None:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        trainer, reduced = _made(snapshot, tmp_path / "run", grad_accum_steps=3), []
        step = TrainingStep(trainer.config, trainer.state, trainer.ranks)

        def note(state: object, bucket: distributed.GradBucket) -> torch.futures.Future[torch.Tensor]:
            reduced.append(bucket.is_last())
            future: torch.futures.Future[torch.Tensor] = torch.futures.Future()
            future.set_result(bucket.buffer())
            return future

        step.network.register_comm_hook(None, note)
        (microbatches,) = trainer.feed.steps(0, 1)
        assert len(microbatches) == 3
        assert step.take(microbatches, 1e-3).good
        assert reduced.count(True) == 1
    finally:
        distributed.destroy_process_group()


def test_only_the_first_of_all_ranks_saves(snapshot: Snapshot, tmp_path: Path) -> None:
    """Rank 2 of 4 is the first of the second machine: its local rank is 0."""
    _made(snapshot, tmp_path / "run", Ranks(2, 4, CPU))._save_for_resume()
    assert not (tmp_path / "run").exists()
    _made(snapshot, tmp_path / "run")._save_for_resume()
    assert [path.name for path in (tmp_path / "run").glob("*.pt")] == ["checkpoint_resume.pt"]


def test_the_scaler_comes_back(snapshot: Snapshot, tmp_path: Path) -> None:
    trainer = _made(snapshot, tmp_path / "run", precision="fp16")
    trainer.state.scaler.load_state_dict(trainer.state.scaler.state_dict() | {"scale": 123.0})
    trainer._save_for_resume()
    assert _made(snapshot, tmp_path / "run", precision="fp16").state.scaler.get_scale() == 123.0


def test_epochs_are_sorted_by_number(tmp_path: Path) -> None:
    for epoch in (11, 9, 100, 10):
        (tmp_path / f"checkpoint_epoch_{epoch}.pt").touch()
    (tmp_path / "checkpoint_best.pt").touch()
    assert [epoch for epoch, _ in CheckpointFolder(str(tmp_path)).epochs()] == [9, 10, 11, 100]


def test_a_save_that_fails_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = CheckpointFolder(str(tmp_path))
    folder.save_epoch({"weights": torch.zeros(8)}, 1, best=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OutputNotWritable, match="No space left"):
        folder.save_epoch({"weights": torch.ones(8)}, 1, best=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
