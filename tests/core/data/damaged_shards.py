"""Two small shards of damaged audio, made by the real steps from synthetic recordings."""

from pathlib import Path

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data.damage import degrade_shard, plan_shard
from audiobuff_core.data.ingest import ingest_shard
from audiobuff_core.data.library import register_shards

NUM_TRACKS = 14
RATES = (44_100, 22_050, 48_000)


def write_recordings(folder: Path, num_tracks: int = NUM_TRACKS, first_seed: int = 0) -> None:
    """Short tones with noise, of odd lengths, three rates, every fifth in stereo."""
    for seed in range(first_seed, first_seed + num_tracks):
        generator = np.random.default_rng(seed)
        sample_rate = RATES[seed % 3]
        moments = np.arange(round(0.3 * sample_rate) + 2 * seed + 1) / sample_rate
        tone = np.sin(2 * np.pi * (150 + 60 * seed) * moments)
        channels = 2 if seed % 5 == 4 else 1
        samples = 0.2 * tone + 0.02 * generator.standard_normal((channels, len(moments)))
        write_audio(folder / f"recording{seed:02}.wav", Waveform(samples.astype(np.float32), sample_rate))


def make_damaged_shards(root: str, recordings: Path) -> list[str]:
    """Register, ingest, plan and damage everything new in `recordings`; the keys of the new shards."""
    keys = []
    for shard in register_shards(root, str(recordings), tracks_per_shard=7, date="2026-01-31"):
        ingest_shard(root, shard)
        plan_shard(root, shard.key)
        degrade_shard(root, shard.key)
        keys.append(shard.key)
    return keys
