"""What a row of each asset is, for the browser: one line a column, `name: type: meaning`."""

from typing import Any

import dagster as dg

INCOMING = """
track_id: string: name of the file and 8 digits of its hash
source: string: absolute path or URL
file_hash: string: SHA-256 of the bytes
copy_of: string: the track that it sounds the same as, or nothing
"""
PRISTINE = """
track_id: string: as it came in; parts of a long recording are numbered
source: string: path or URL of the recording
audio_hash: string: SHA-256 of the samples, whatever file they are in
split: string: train, validation or held_out, decided by content
path: string: FLAC, 24 bit, mono
num_samples: int: at the shard's rate
trained_below_hz: float: the band ends there and is not learned from above; empty: full band
measures: object: rate, duration, bandwidth, loudness, true peak, clipped share, noise floor, silence, offset, width
"""
PLAN = """
track_id: string: whose damage
variant: int: 0, 1, ...
recipe: string: what it was drawn from
seed: int: what it was drawn with
faults: list: kind and every number of each, in the order in which they happen
"""
DEGRADED = """
track_id: string: whose
variant: int: 0, 1, ...
path: string: WAV, 32-bit float
heard_path: string: what the network hears: the same after the exact treatments, or path where they found nothing
clean_path: string: the clean audio, sample for sample as long
row: object: the row of the plan that it was rendered from
split: string: train or validation
num_samples: int: of all three
gain: float: by which both are brought to one level
trained_below_hz: float: the clean band ends there and is not learned from above; empty: full band
"""
LATENTS = """
record: string: <track>.v<variant>.damaged, and .clean in latents/target
codes: array: [frames, numbers of the encoder], codes where it has some
written: bool: set after the data; what lacks it is refused
"""
SNAPSHOT = """
track_id: string: whose
variant: int: 0, 1, ...
split: string: train or validation
groups: object: the latent group of each stream
num_frames: int: of the target stream
"""
TRAINING_LOG = """
step: int: optimiser steps so far
loss: float: of the training items since the last row
val_loss: float: of the validation items, at the end of some epochs
lr: float: learning rate
"""
CLIPS = """
track_id: string: whose clip
clean_path: string: WAV, 32-bit float
degraded_path: string: the same with one kind of damage
start_seconds: float: where in the track it begins
duration_seconds: float: how long it is
"""
RESTORED_CLIPS = """
track_id: string: whose clip
path: string: WAV, 32-bit float, the network's raw output
"""
METRICS = """
track_id: string: whose clip
degraded: object: every metric of the damaged clip, the floor
restored: object: every metric of the restored clip
ceiling: object: every metric of the codec's round trip
"""
LEADERBOARD = """
checkpoint: string: which network
kinds: object: means, gains with intervals and outcome by kind of damage
missing: list: kinds that it was not tried on
"""
POINTER = """
checkpoint: string: which network
weights_sha256: string: of its export
metrics: object: digest of its measurements by kind of damage
"""
REPAIRED = """
output: string: the repaired file
repairs: list: kind, place, confidence of everything that was done
before: object: measures of the dropped file
after: object: measures of the repaired one
"""


def columns(lines: str) -> dict[str, Any]:
    """The metadata by which Dagster shows these columns."""
    rows = [line.split(": ", 2) for line in lines.strip().splitlines()]
    return {
        "dagster/column_schema": dg.TableSchema(
            columns=[dg.TableColumn(name, kind, description=meaning) for name, kind, meaning in rows]
        )
    }
