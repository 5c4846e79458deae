"""A recording of two hours is taken in without the memory for two hours."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

HOURS, RATE, CHANNELS = 2.0, 16_000, 2
CEILING_MB = 400.0

INGEST = """
import json, resource, sys
from audiobuff_core.data.ingest import ingest_shard
from audiobuff_core.data.library import register_shards
folder, root = sys.argv[1:]
def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
import pyloudnorm, soxr
before = megabytes()
(shard,) = register_shards(root, folder, date="20250101")
made = ingest_shard(root, shard, sample_rate=16_000, workers=1)
seconds = [track.duration_seconds for track in made.tracks]
print(json.dumps({"megabytes": megabytes() - before, "tracks": len(seconds), "seconds": sum(seconds)}))
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hours_of_stereo_need_less_than_half_of_their_size(tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    with soundfile.SoundFile(tmp_path / "in" / "long.wav", "w", RATE, CHANNELS, subtype="PCM_16") as file:
        minute = generator.normal(0.0, 0.1, (60 * RATE, CHANNELS)).astype(np.float32)
        for number in range(round(HOURS * 60)):
            file.write(np.roll(minute, 977 * number, axis=0))
    done = subprocess.run(
        [sys.executable, "-c", INGEST, str(tmp_path / "in"), str(tmp_path / "root")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    whole_mb = HOURS * 3600 * RATE * CHANNELS * 4 / 2**20
    assert (found["tracks"], found["seconds"]) == (40, HOURS * 3600)
    assert found["megabytes"] < CEILING_MB < whole_mb / 2
