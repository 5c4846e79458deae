from fractions import Fraction
from pathlib import Path
from uuid import uuid4

import fsspec
import numpy as np
import pytest
import torch

from audiobuff_core.codecs.frames import FrameSequence
from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.data import group_arrays, group_writer
from audiobuff_core.data.store import LatentRecord, LatentStore, open_group
from audiobuff_core.errors import (
    AudioNotFound,
    DataMissing,
    InvalidAudio,
    OutputNotWritable,
    StoreMismatch,
    StoreNotSealed,
)

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


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    return LatentStore(str(tmp_path / "store") if request.param == "disk" else f"memory://{uuid4().hex}")


def filesystem_of(group):
    return fsspec.core.url_to_fs(group.path)


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
        monkeypatch.setattr(group_writer, "ROWS_A_CHUNK", 4)
        monkeypatch.setattr(group_writer, "ROWS_A_SHARD", 16)
        records = [latent(f"{i}", num_frames, seed=i) for i, num_frames in enumerate((15, 1, 50, 3, 32, 9))]
        group = write(store, records)
        for record in records:
            assert torch.equal(group.record(record.record_id).values, record.frames.values)
        filesystem, top = filesystem_of(group)
        assert len(filesystem.find(f"{top}/values/c")) == -(-110 // 16)

    def test_a_large_array_is_read_in_slices(self, store, monkeypatch):
        monkeypatch.setattr(group_arrays, "LARGEST_CACHED_BYTES", 10)
        record = latent("a", 700)
        group = write(store, [latent("b", 3, seed=1), record])
        assert np.array_equal(group.read("a", 600, 99), record.stored[0, 600:699])
        assert torch.equal(group.record("a").values, record.frames.values)

    def test_the_cache_stays_within_its_bound(self, store, monkeypatch):
        monkeypatch.setattr(group_arrays, "CACHE_BYTES", 10_000)
        for place in range(6):
            group = write(store, [latent("a", 200, seed=place)], path=f"p{place}")  # 2400 bytes of values
            group.read("a", 0, 1)
        assert sum(array.nbytes for array in group_arrays._cached.values()) <= 10_000
        assert np.array_equal(group.read("a", 0, 200), latent("a", 200, seed=5).stored[0])

    def test_what_is_read_can_t_spoil_the_cache(self, store):
        group = write(store, [latent("a", 20)])
        with pytest.raises(ValueError, match="read-only"):
            group.read("a", 0, 5)[:] = 0

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

    def test_a_handful_of_objects(self, store):
        group = write(store, [latent(f"{i}", 100, seed=i) for i in range(50)])
        filesystem, top = filesystem_of(group)
        assert len(filesystem.find(top)) <= 20

    def test_the_digest_tells_content_apart_and_nothing_else(self, store):
        first = write(store, [latent("a", 20)], path="one")
        same = write(store, [latent("a", 20)], path="two")
        other = write(store, [latent("a", 20, seed=1)], path="three")
        named = write(store, [latent("b", 20)], path="four")
        assert first.digest == same.digest
        assert len({first.digest, other.digest, named.digest}) == 3
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


class TestRefusing:
    def test_nothing_there(self, store):
        with pytest.raises(DataMissing, match=r"No latent group at .*nowhere"):
            store.open_group("nowhere")

    def test_unsealed(self, store):
        group = write(store, [latent("a", 5)])
        filesystem, top = filesystem_of(group)
        filesystem.rm(f"{top}/manifest.json")
        with pytest.raises(StoreNotSealed, match="target/shard is not sealed"):
            store.open_group("target/shard")

    def test_a_writer_that_died_leaves_no_seal_and_the_next_one_succeeds(self, store):
        def dying():
            yield latent("a", 5)
            raise AudioNotFound("No file b.wav: it was deleted")

        with pytest.raises(AudioNotFound, match=r"b\.wav"):
            write(store, dying())
        with pytest.raises(StoreNotSealed):
            store.open_group("target/shard")
        write(store, [latent("a", 5), latent("b", 6, seed=1)])
        assert store.open_group("target/shard").record_ids == ("a", "b")

    def test_a_rewrite_that_dies_does_not_leave_the_old_seal(self, store):
        write(store, [latent("a", 5)])

        def dying():
            raise AudioNotFound("gone")
            yield

        with pytest.raises(AudioNotFound):
            write(store, dying())
        with pytest.raises(StoreNotSealed):
            store.open_group("target/shard")

    def test_a_rewritten_group_is_not_read_from_the_cache(self, store):
        write(store, [latent("a", 5)]).read("a", 0, 5)
        group = write(store, [latent("a", 5, seed=9)])
        assert np.array_equal(group.read("a", 0, 5), latent("a", 5, seed=9).stored[0])

    @pytest.mark.parametrize("name", ["values/c/0/0", "written/c/0", "offsets/zarr.json"])
    def test_a_missing_object(self, store, name):
        group = write(store, [latent("a", 5)])
        filesystem, top = filesystem_of(group)
        filesystem.rm(f"{top}/{name}")
        with pytest.raises(StoreNotSealed, match=f"1 of .* objects are missing .*{name}"):
            store.open_group("target/shard")

    def test_an_object_that_was_cut_off(self, store):
        group = write(store, [latent("a", 500)])
        filesystem, top = filesystem_of(group)
        whole = filesystem.cat_file(f"{top}/values/c/0/0")
        filesystem.pipe_file(f"{top}/values/c/0/0", whole[:-10])
        with pytest.raises(StoreNotSealed, match="cut off"):
            store.open_group("target/shard")

    def test_a_record_without_its_flag(self, store):
        import zarr

        from audiobuff_core.files import read_json, write_json

        group = write(store, [latent("a", 5), latent("b", 6)])
        array = zarr.open_array(group_arrays.zarr_store(group.path, read_only=False), path="written", mode="r+")
        array[1] = False
        manifest = read_json(f"{group.path}/manifest.json")
        filesystem, top = filesystem_of(group)
        manifest["objects"]["written/c/0"] = filesystem.size(f"{top}/written/c/0")
        write_json(f"{group.path}/manifest.json", manifest)
        with pytest.raises(StoreNotSealed, match="1 of 2 records are missing, such as b"):
            store.open_group("target/shard")

    def test_another_encoder_is_refused_by_name(self, store):
        write(store, [latent("a", 5)])
        other = EncoderIdentity("dac", "44khz", "feedbeefcafe")
        with pytest.raises(StoreMismatch, match="by test-codec-1-01234567: expected dac-44khz-feedbeef"):
            store.open_group("target/shard", encoder=other)

    def test_another_schema_is_refused(self, store):
        from audiobuff_core.files import read_json, write_json

        group = write(store, [latent("a", 5)])
        manifest = read_json(f"{group.path}/manifest.json") | {"schema": 99}
        write_json(f"{group.path}/manifest.json", manifest)
        with pytest.raises(StoreMismatch, match="schema 99: expected 1"):
            open_group(group.path)

    def test_records_that_don_t_fit(self, store):
        with pytest.raises(StoreMismatch, match="added twice"):
            write(store, [latent("a", 5), latent("a", 5)])
        with pytest.raises(StoreMismatch, match="width 7"):
            write(store, [latent("a", 5, dim=7)])
        other_type = latent("b", 5)
        other_type = LatentRecord("b", other_type.frames, other_type.stored.astype(np.float32))
        with pytest.raises(StoreMismatch, match="stored as float32"):
            write(store, [latent("a", 5), other_type])
        infinite = latent("a", 5)
        infinite.stored[0, 2, 1] = np.inf
        with pytest.raises(InvalidAudio, match="Latents of a are not finite"):
            write(store, [infinite])

    def test_a_path_can_t_leave_the_store(self, store):
        with pytest.raises(ValueError, match="leaves its root"):
            store.open_group("../elsewhere")


def test_a_place_that_is_no_folder_is_not_writable(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputNotWritable, match="Can't write latents to"):
        write(LatentStore(str(tmp_path / "file")), [latent("a", 5)])


def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(group_writer.GroupWriter, "_flush", full)
    with pytest.raises(OutputNotWritable, match="No space left"):
        write(LatentStore(str(tmp_path)), [latent("a", 5)])
