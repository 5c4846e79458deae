"""A small library of synthetic recordings under a root, and a restorer that needs no training."""

import json
import math
import shutil

import numpy as np
import pytest

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.codecs.builtin import MdctCodec
from audiobuff_core.data.ingest import ingest_shard, load_pristine
from audiobuff_core.data.library import register_shards
from audiobuff_core.evaluation.held_out import damage_held_out
from audiobuff_core.evaluation.measure import measure_set
from audiobuff_core.evaluation.restorations import restore_set
from audiobuff_core.files import join, write_bytes, write_json
from audiobuff_core.seeding import digest, numpy_generator

RATE = 44_100


def recording(index, seconds=1.2):
    """A decaying chord with a little noise, another one for each index."""
    generator = numpy_generator("recording", index)
    times = np.arange(round(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * hertz * times) for hertz in generator.uniform(150, 6000, 5))
    samples = 0.08 * tones * np.exp(-times) + generator.normal(0, 0.002, times.shape)
    return Waveform(samples.astype(np.float32)[None], RATE)


def better(waveform):
    """A smoother that truly helps against white noise: the mean of a sample and its neighbours."""
    samples = waveform.samples
    smoothed = np.apply_along_axis(lambda row: np.convolve(row, [0.25, 0.5, 0.25], "same"), 1, samples)
    return Waveform(smoothed.astype(np.float32), waveform.sample_rate)


@pytest.fixture(scope="session")
def pristine_root(tmp_path_factory):
    """Root and shard key with enough recordings that some are held out."""
    folder, root = tmp_path_factory.mktemp("recordings"), str(tmp_path_factory.mktemp("root"))
    for index in range(40):
        write_audio(folder / f"chord_{index:02}.flac", recording(index, 0.6 + 0.02 * index))
    (shard,) = register_shards(root, str(folder), tracks_per_shard=64, date="20240101")
    ingest_shard(root, shard)
    held_out = [one for one in load_pristine(root, shard.key).tracks if one.split == "held_out"]
    assert len(held_out) >= 6
    return root, shard.key, held_out


@pytest.fixture
def root(pristine_root, tmp_path):
    """A root of its own for a test, with the pristine tracks of the shared one."""
    shutil.copytree(pristine_root[0], tmp_path / "root")
    return str(tmp_path / "root")


@pytest.fixture
def shard(pristine_root):
    return pristine_root[1]


@pytest.fixture
def held_out(pristine_root):
    return pristine_root[2]


@pytest.fixture
def restore():
    return better


KINDS = ("seed", "noise", "clean")


def evaluate(root, shard, checkpoint, restore, kinds=KINDS):
    """Restore and measure, and leave the files that a finished training leaves."""
    weights = digest("weights", checkpoint)
    identity = {
        "checkpoint_sha256": weights,
        "encoders": {"target": MdctCodec().identity.as_dict()},
        "snapshot_digest": digest("snapshot"),
        "profile": "demo",
        "parameters": 1_234_567,
    }
    folder = join(root, "checkpoints", checkpoint)
    rows = [{"step": step, "epoch": 0, "loss": math.exp(-step / 40) + 0.2, "lr": 1e-3} for step in range(1, 100)]
    rows += [{"step": step, "epoch": 0, "val_loss": math.exp(-step / 40) + 0.25} for step in (50, 99)]
    write_bytes(join(folder, "training_log.jsonl"), "".join(json.dumps(row) + "\n" for row in rows).encode())
    write_json(join(folder, "done.json"), {"weights_sha256": weights, "steps": 99})
    write_json(join(folder, "config.json"), {"meta": {"encoders": {"codec": "builtin"}, "inference": {"steps": 4}}})
    for kind in kinds:
        damage_held_out(root, kind, shards=[shard], clip_seconds=0.5, max_clips=6)
        restore_set(root, checkpoint, kind, restore=restore, identity=identity)
        measure_set(root, checkpoint, kind)


@pytest.fixture(scope="session")
def evaluated_root(pristine_root, tmp_path_factory):
    """A root where one checkpoint, `aaaa`, was measured on three kinds."""
    root = tmp_path_factory.mktemp("evaluated") / "root"
    shutil.copytree(pristine_root[0], root)
    evaluate(str(root), pristine_root[1], "aaaa", better)
    return str(root)


@pytest.fixture
def evaluated(evaluated_root, tmp_path):
    """A copy of it for a test that writes."""
    shutil.copytree(evaluated_root, tmp_path / "evaluated")
    return str(tmp_path / "evaluated")
