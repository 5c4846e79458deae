"""A small library of synthetic recordings under a root, and a restorer that needs no training."""

import numpy as np
import pytest

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data.ingest import ingest_shard, load_pristine
from audiobuff_core.data.library import register_shards
from audiobuff_core.seeding import numpy_generator

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
    import shutil

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
