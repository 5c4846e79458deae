from pathlib import Path

import numpy as np
import pytest

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.codecs.registry import EncoderChoice
from audiobuff_core.data.damage import degrade_shard, plan_shard
from audiobuff_core.data.extraction import STREAMS, extract_shard
from audiobuff_core.data.ingest import ingest_shard
from audiobuff_core.data.library import register_shards
from audiobuff_core.data.snapshot import Snapshot, make_snapshot


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Twenty-four half-second chords through the whole lineage, up to the training snapshot."""
    folder, root = tmp_path_factory.mktemp("recordings"), str(tmp_path_factory.mktemp("root"))
    seconds = np.arange(22_050) / 44_100
    for index in range(24):
        chord = sum(np.sin(2 * np.pi * 110 * 2 ** ((index + step) / 12) * seconds) for step in (0, 4, 7))
        samples = (0.2 * chord * np.exp(-4 * seconds)).astype(np.float32)[None]
        write_audio(folder / f"chord_{index:02d}.flac", Waveform(samples, 44_100))
    (shard,) = register_shards(root, str(folder), date="20260101")
    ingest_shard(root, shard)
    plan_shard(root, shard.key, recipe="seed", variants=1, seed=5)
    degrade_shard(root, shard.key)
    encoders = EncoderChoice()
    for stream in STREAMS:
        extract_shard(root, shard.key, stream, encoders=encoders)
    made = make_snapshot(root, [shard.key], encoders=encoders)
    assert {item.split for item in made.items} == {"train", "validation"}
    assert Path(made.path).exists()
    return made
