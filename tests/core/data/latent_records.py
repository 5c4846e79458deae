"""Latent records and groups for the tests of the store."""

from fractions import Fraction

import fsspec
import numpy as np
import torch

from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.data.store import LatentRecord

RATE = Fraction(44_100, 512)
ENCODER = EncoderIdentity("test-codec", "1", "0123456789abcdef")


def latent(record_id, num_frames, *, channels=1, dim=6, seed=0, start=Fraction(0), valid=None):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(channels, num_frames, dim, generator=generator).half().float()
    return LatentRecord(record_id, FrameSequence(values, RATE, start, valid), values.numpy().astype(np.float16))


def code_record(record_id, num_frames):
    codes = np.arange(num_frames * 3, dtype=np.int16).reshape(1, num_frames, 3)
    return LatentRecord(record_id, FrameSequence(torch.from_numpy(codes).sum(2, keepdim=True).float(), RATE), codes)


def write(store, records, path="target/shard", dim=6):
    return store.write_group(path, records, encoder=ENCODER, rate=RATE, dim=dim, inputs="made of this")


def filesystem_of(group):
    return fsspec.core.url_to_fs(group.path)
