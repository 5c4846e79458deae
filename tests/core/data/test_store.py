from dataclasses import replace
from fractions import Fraction
from uuid import uuid4

import numpy as np
import pytest
import torch
from latent_records import ENCODER, RATE, code_record, filesystem_of, latent, write

from audiobuff_core.data import group_arrays, group_writer
from audiobuff_core.data.block_cache import BlockCache
from audiobuff_core.data.store import LatentRecord, LatentStore
from audiobuff_core.errors import (
    DataMissing,
    StoreMismatch,
)


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    return LatentStore(str(tmp_path / "store") if request.param == "disk" else f"memory://{uuid4().hex}")


class TestReadingWhatWasWritten:
    def test_every_frame_comes_back(self, store):
        records = [latent(f"track-{i}/v0", num_frames, seed=i) for i, num_frames in enumerate((1, 300, 17))]
        write(store, iter(records))
        group = store.open_group("target/shard", encoder=ENCODER)
        assert group.record_ids == tuple(record.record_id for record in records)
        for record in records:
            back = group.record(record.record_id)
            assert group.frames_of(record.record_id) == record.frames.num_frames
            assert torch.equal(back.values, record.frames.values)
            assert (back.rate, back.start) == (RATE, 0)
        assert group.read("track-1/v0", 250, 50).dtype == np.float16
        assert np.array_equal(group.read("track-1/v0", 250, 50), records[1].stored[0, 250:])

    def test_stereo_start_and_mask_come_back(self, store):
        valid = torch.arange(40) < 33
        record = latent("a", 40, channels=2, start=Fraction(-3, 7), valid=valid)
        write(store, [latent("before", 5), record])
        group = store.open_group("target/shard")
        back = group.record("a")
        assert torch.equal(back.values, record.frames.values)
        assert torch.equal(back.mask, valid)
        assert back.start == Fraction(-3, 7)
        assert np.array_equal(group.read("a", 3, 4, channel=1), record.stored[1, 3:7])

    def test_shards_are_written_whole_wherever_records_end(self, store, monkeypatch):
        monkeypatch.setattr(group_writer, "CHUNK_BYTES", 10)
        monkeypatch.setattr(group_writer, "ROWS_A_CHUNK", 4)
        monkeypatch.setattr(group_writer, "ROWS_A_SHARD", 16)
        records = [latent(f"{i}", num_frames, seed=i) for i, num_frames in enumerate((15, 1, 50, 3, 32, 9))]
        group = write(store, records)
        for record in records:
            assert torch.equal(group.record(record.record_id).values, record.frames.values)
        filesystem, top = filesystem_of(group)
        assert len(filesystem.find(f"{top}/values/c")) == -(-110 // 16)

    def test_a_partition_is_at_most_24_objects(self, store, monkeypatch):
        monkeypatch.setattr(group_writer, "CHUNK_BYTES", 10)
        monkeypatch.setattr(group_writer, "ROWS_A_CHUNK", 4)
        monkeypatch.setattr(group_writer, "ROWS_A_SHARD", 16)
        records = [latent(f"{i:02}", 23, seed=i, channels=1 + i % 2) for i in range(64)]
        group = write(store, records)
        filesystem, top = filesystem_of(group)
        assert len(filesystem.find(top)) <= 24
        for record in records[::9]:
            assert torch.equal(group.record(record.record_id).values, record.frames.values)

    def test_reads_cross_blocks(self, store, monkeypatch):
        monkeypatch.setattr(group_writer, "CHUNK_BYTES", 10)
        monkeypatch.setattr(group_writer, "ROWS_A_CHUNK", 4)
        monkeypatch.setattr(group_arrays, "BLOCK_BYTES", 200)
        record = latent("b", 700)
        group = write(store, [latent("a", 3, seed=1), record])
        for first, count in ((0, 700), (600, 99), (5, 1), (12, 4), (699, 1), (30, 0)):
            assert np.array_equal(group.read("b", first, count), record.stored[0, first : first + count])
        assert torch.equal(group.record("b").values, record.frames.values)

    def test_the_cache_stays_within_its_bound(self, store, monkeypatch):
        cache = BlockCache(10_000)
        monkeypatch.setattr(group_arrays, "blocks", cache)
        for place in range(6):
            group = write(store, [latent("a", 200, seed=place)], path=f"p{place}")  # 2400 bytes of values
            group.read("a", 0, 1)
            assert 0 < cache.num_bytes <= 10_000
        assert np.array_equal(group.read("a", 0, 200), latent("a", 200, seed=5).stored[0])

    def test_a_block_is_read_once(self, store, monkeypatch):
        group = write(store, [latent("a", 200), latent("b", 100, seed=1)])
        group.read("a", 0, 1)
        filesystem, top = filesystem_of(group)
        filesystem.rm(f"{top}/values", recursive=True)
        assert np.array_equal(group.read("b", 50, 50), latent("b", 100, seed=1).stored[0, 50:])

    def test_what_is_read_can_t_spoil_the_cache(self, store):
        group = write(store, [latent("a", 20)])
        with pytest.raises(ValueError, match="read-only"):
            group.read("a", 0, 5)[:] = 0

    def test_gains_come_back(self, store):
        record = latent("a", 40, channels=2)
        levelled = LatentRecord("a", replace(record.frames, gains=torch.tensor([0.1, 3.7])), record.stored)
        write(store, [levelled, latent("b", 4, seed=1)])
        group = store.open_group("target/shard")
        assert torch.equal(group.record("a").gains, levelled.frames.gains)
        assert group.record("b").gains is None

    def test_codes_need_their_decoder(self, store):
        group = write(store, [code_record("a", 12)], dim=1)
        decoded = group.record(
            "a", lambda stored: torch.from_numpy(stored.astype(np.int64)).sum(1, keepdim=True).float()
        )
        assert torch.equal(decoded.values, code_record("a", 12).frames.values)
        assert group.read("a", 0, 12).dtype == np.int16
        with pytest.raises(StoreMismatch, match="from_stored of test-codec"):
            group.record("a")

    def test_a_group_of_nothing(self, store):
        write(store, [])
        group = store.open_group("target/shard")
        assert group.record_ids == ()
        assert group.statistics.count == 0

    def test_unknown_records_and_frames_are_named(self, store):
        group = write(store, [latent("a", 20)])
        with pytest.raises(DataMissing, match="Record b is not in"):
            group.record("b")
        with pytest.raises(IndexError, match="it has 20"):
            group.read("a", 15, 6)
        with pytest.raises(IndexError, match="it has 20"):
            group.read("a", -1, 3)
        with pytest.raises(IndexError, match="Channel 1"):
            group.read("a", 0, 3, channel=1)

    def test_the_digest_tells_content_apart_and_nothing_else(self, store):
        first = write(store, [latent("a", 20)], path="one")
        same = write(store, [latent("a", 20)], path="two")
        other = write(store, [latent("a", 20, seed=1)], path="three")
        named = write(store, [latent("b", 20)], path="four")
        assert first.digest == same.digest
        louder = latent("a", 20)
        louder = LatentRecord("a", replace(louder.frames, gains=torch.tensor([2.0])), louder.stored)
        assert len({first.digest, other.digest, named.digest, write(store, [louder], path="five").digest}) == 4
        several = [latent(name, 9, seed=i) for i, name in enumerate("abc")]
        assert write(store, several, path="six").digest == write(store, several[::-1], path="seven").digest
        assert store.open_group("one").digest == first.digest
        assert first.inputs == "made of this"


class TestStatistics:
    def test_they_are_those_of_the_valid_frames(self, store):
        records = [
            latent("a", 30, seed=1, valid=torch.arange(30) < 20),
            latent("b", 50, seed=2, channels=2),
            latent("c", 9, seed=3),
        ]
        write(store, records)
        group = store.open_group("target/shard")
        chosen = torch.cat([records[0].frames.values[:, :20].flatten(0, 1), records[2].frames.values[0]]).double()
        part = group.statistics_of(["a", "c"])
        assert part.count == 29
        np.testing.assert_allclose(part.mean, chosen.mean(0), atol=1e-9)
        np.testing.assert_allclose(part.std, chosen.std(0, correction=0), atol=1e-9)
        assert group.statistics.count == 20 + 100 + 9
        np.testing.assert_allclose(group.statistics_of(group.record_ids).total, group.statistics.total, atol=1e-9)

    def test_a_silent_channel_keeps_a_usable_std(self, store):
        record = latent("a", 100)
        record.frames.values[:, :, 2] = 0.5
        group = write(store, [record])
        assert group.statistics.std[2] == pytest.approx(0.02 * np.sqrt(5 / 6), rel=0.2)
        assert write(store, [], path="none").statistics.std.tolist() == [1.0] * 6

    def test_unknown_records_are_named(self, store):
        group = write(store, [latent("a", 5)])
        with pytest.raises(DataMissing, match="Record b"):
            group.statistics_of(["a", "b"])
