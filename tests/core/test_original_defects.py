"""Every known defect of the original in flow, model, training and checkpoints has a test that it cannot come back.

`COVERED` names the tests, here or elsewhere; the new ones stand below it.
"""

import re
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
from audiobuff_core.errors import InvalidCheckpoint, OutputNotWritable
from audiobuff_core.models.attention import Attention
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.legacy import SinusoidalTime
from audiobuff_core.models.model import ModelConfig, RestorationModel
from audiobuff_core.models.modulation import StepEmbedding
from audiobuff_core.models.rotary import rotary_angles
from audiobuff_core.models.schema import model_of
from audiobuff_core.training.config import config_for
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.run import _trainer
from audiobuff_core.training.step import TrainingStep
from audiobuff_core.training.storage import CheckpointFolder
from audiobuff_core.training.trainer import Trainer

HERE = Path(__file__).parent
CPU = torch.device("cpu")
MODEL, SCHEMA = "models/test_model.py", "models/test_schema.py"
PARTS, TRAINING = "training/test_parts.py", "training/test_training.py"
RESTORER, LOADING = "inference/test_restorer.py", "inference/test_loading.py"

# defect -> (file under tests/core, test)
COVERED = {
    "output cut to about 6 s whatever the input": [
        (RESTORER, "test_a_network_that_changes_nothing_gives_the_recording_back"),
        (RESTORER, "test_windows_cover_every_frame_and_overlap"),
    ],
    "streams of different frame rates sliced by one index": [
        (MODEL, "test_a_stream_at_another_rate_lines_up_by_its_seconds"),
        ("", "test_each_stream_is_cut_by_its_own_clock"),
    ],
    "no positions in the DiT": [("", "test_attention_depends_on_when_its_context_was")],
    "no degraded-latent condition": [("", "test_the_velocity_depends_on_the_damaged_latent")],
    "independent noise per chunk": [
        (RESTORER, "test_a_constant_field_has_no_seams"),
        (RESTORER, "test_the_same_seed_restores_the_same"),
    ],
    "unscaled t": [("", "test_the_time_embedding_turns_within_the_unit_interval")],
    "no norm and no zero-init in AdaLN": [
        (MODEL, "test_blocks_are_the_identity_at_the_start"),
        (MODEL, "test_an_untrained_network_changes_nothing"),
        ("", "test_a_block_answers_a_loud_stream_no_louder"),
    ],
    "crash when d_model != in_channels": [(MODEL, "test_widths_do_not_depend_on_the_latent")],
    "attention weights materialised": [("", "test_no_attention_matrix_is_kept_for_the_gradient")],
    "latents not standardised": [("", "test_training_sees_standardised_latents")],
    "last chunk zero-padded with the null condition": [(RESTORER, "test_windows_cover_every_frame_and_overlap")],
    "EMA 0.9999 without warm-up": [(PARTS, "test_the_average_starts_fast_and_ends_at_its_decay")],
    "EMA updated on skipped steps": [("", "test_a_skipped_step_leaves_weights_and_average")],
    "last accumulation group under-scaled": [
        (TRAINING, "test_loss_and_gradients_do_not_depend_on_how_a_step_is_split"),
        (PARTS, "test_a_step_takes_the_same_samples_however_they_are_split"),
    ],
    "no no_sync": [("", "test_gradients_are_summed_over_ranks_once_a_step")],
    "seeds and saves by local rank": [
        ("", "test_only_the_first_of_all_ranks_saves"),
        (PARTS, "test_a_step_takes_the_same_samples_however_they_are_split"),
    ],
    "resume loses scaler, RNG, position": [
        (TRAINING, "test_a_stopped_run_resumes_to_the_bit"),
        ("", "test_the_scaler_comes_back"),
    ],
    "best never marked": [(TRAINING, "test_training_learns_and_leaves_what_it_promises")],
    "non-atomic writes, no retention": [
        ("", "test_a_save_that_fails_leaves_the_checkpoint_before"),
        (TRAINING, "test_training_learns_and_leaves_what_it_promises"),
    ],
    "NCCL only": [
        ("training/test_ranks.py", "test_two_ranks_train_what_one_rank_does"),
        ("", "test_gradients_are_summed_over_ranks_once_a_step"),
    ],
    "sizes repeated as flags": [
        (SCHEMA, "test_an_export_comes_back_the_same"),
        (LOADING, "test_sizes_come_from_the_tensors_and_a_contradiction_names_both"),
    ],
    "silent strict=False": [
        (LOADING, "test_missing_and_surplus_weights_are_never_passed_over"),
        ("", "test_weights_that_are_missing_or_too_many_are_refused"),
    ],
    "failures exit 0": [
        (TRAINING, "test_a_missing_snapshot_is_one_line"),
        (TRAINING, "test_a_run_of_bad_steps_is_an_error_that_says_what_to_do"),
    ],
    "epoch_9 sorted after epoch_11": [("", "test_epochs_are_sorted_by_number")],
}
SIZES = ModelConfig(latent_dim=12, structure_dim=5, semantic_dim=7, d_model=32, n_heads=2, depth=1, hidden_dim=48)


@pytest.mark.parametrize("defect", COVERED)
def test_each_defect_has_its_tests(defect: str) -> None:
    for place, name in COVERED[defect]:
        source = (HERE / place if place else Path(__file__)).read_text()
        assert re.search(rf"^def {name}\(", source, re.MULTILINE), f"{place or 'this file'} has no {name}"


def _awake() -> RestorationModel:
    """A network whose zero-initialised parts are random, as after some training."""
    torch.manual_seed(0)
    model = RestorationModel(SIZES).eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def _side(frames: int, dim: int, rate: float) -> SideStream:
    times = (torch.arange(frames, dtype=torch.float64) / rate)[None]
    values = torch.randn(1, frames, dim, generator=torch.Generator().manual_seed(dim))
    return SideStream(values, times, torch.ones(1, frames, dtype=torch.bool), torch.zeros(1, dtype=torch.bool))


def test_attention_depends_on_when_its_context_was() -> None:
    torch.manual_seed(1)
    attention, stream = Attention(32, 2), torch.randn(1, 9, 32)
    times, valid = torch.arange(9, dtype=torch.float64)[None] / 86, torch.ones(1, 9, dtype=torch.bool)

    def attended(context_times: torch.Tensor) -> torch.Tensor:
        return attention(stream, rotary_angles(times, 16), stream, rotary_angles(context_times, 16), valid)

    assert not torch.allclose(attended(times), attended(times.flip(1)), atol=1e-3)


def test_the_velocity_depends_on_the_damaged_latent() -> None:
    model, x_t = _awake(), torch.randn(1, 20, 12)
    rest = {
        "t": torch.rand(1), "tau": torch.zeros(1), "valid": torch.ones(1, 20, dtype=torch.bool),
        "times": torch.arange(20, dtype=torch.float64)[None] / 86,
        "structure": _side(12, 5, 50.0), "semantic": _side(3, 7, 6.25),
    }  # fmt: skip
    one, other = (model.velocity(x_t=x_t, damaged=damaged, **rest) for damaged in (x_t, -x_t))
    assert float((one - other).detach().abs().max()) > 0.1


def test_the_time_embedding_turns_within_the_unit_interval() -> None:
    """How many sinusoids pass through a whole period from t = 0 to 1: many of ours, none of the original's."""
    t = torch.linspace(0, 1, 20_001)

    def num_turning(waves: torch.Tensor) -> int:
        signs = waves[:, : waves.shape[1] // 2].sign()
        return int(((signs[1:] * signs[:-1] < 0).sum(dim=0) >= 2).sum())

    assert num_turning(SinusoidalTime(128)(t)) == 0
    assert num_turning(StepEmbedding(8, num_frequencies=64)._waves(t)) >= 24


def test_a_block_answers_a_loud_stream_no_louder() -> None:
    """Every sub-layer normalises what it takes, so a hundredfold stream does not get a hundredfold update."""
    model = _awake()
    block, x = model.vfn.blocks[0], torch.randn(1, 9, 32)
    times = torch.arange(9, dtype=torch.float64)[None] / 86
    tokens = model.aligner(_side(6, 5, 50.0), _side(2, 7, 6.25))
    rest = (torch.randn(1, 32), rotary_angles(times, 16), torch.ones(1, 9, dtype=torch.bool), *tokens)
    quiet, loud = (float((block(gain * x, *rest) - gain * x).detach().norm()) for gain in (1.0, 100.0))
    assert loud < 3 * quiet


def test_no_attention_matrix_is_kept_for_the_gradient() -> None:
    frames, heads, kept = 1024, 2, []
    attention, stream = Attention(32, heads), torch.randn(1, frames, 32)
    angles = rotary_angles(torch.arange(frames, dtype=torch.float64)[None] / 86, 16)

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.untyped_storage().nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        attention(stream, angles, stream, angles, torch.ones(1, frames, dtype=torch.bool)).sum().backward()
    assert max(kept) < frames * frames  # a quarter of one head's matrix in float32


def test_weights_that_are_missing_or_too_many_are_refused() -> None:
    state = RestorationModel(SIZES).state_dict()
    with pytest.raises(InvalidCheckpoint, match="surplus"):
        model_of(SIZES, state | {"vfn.surplus": torch.zeros(1)}, "here")
    del state["vfn.head.fields.bias"]
    with pytest.raises(InvalidCheckpoint, match=r"head\.fields\.bias"):
        model_of(SIZES, state, "here")


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


# What follows trains on latents that count: every channel of frame i is i (the target's: 3 i + 5, i for the clean one).

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
        digest="d" * 64, path="made by hand", items=items, shards=("s",), encoders=EncoderChoice(),
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
