from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from latent_records import ENCODER, RATE, filesystem_of, latent, write

from audiobuff_core.codecs.protocols import EncoderIdentity
from audiobuff_core.data import group_arrays, unsealed
from audiobuff_core.data.store import LatentRecord, LatentStore, open_group
from audiobuff_core.errors import (
    AudioNotFound,
    DataMissing,
    InvalidAudio,
    OutputNotWritable,
    StoreMismatch,
    StoreNotSealed,
)


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    return LatentStore(str(tmp_path / "store") if request.param == "disk" else f"memory://{uuid4().hex}")


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

    def test_what_a_writer_left_is_taken_over_where_it_is_wanted(self, store):
        whole = write(store, [latent("a", 5), latent("b", 6, seed=1), latent("c", 7, seed=2)], path="whole")

        def dying():
            yield latent("b", 6, seed=1)
            yield latent("c", 7, seed=9)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write(store, dying())
        kept = store.kept_records("target/shard", "abc", inputs="made of this", encoder=ENCODER)
        assert kept == {"b", "c"}
        assert not store.kept_records("target/shard", "abc", inputs="made of that", encoder=ENCODER)
        group = store.write_group(
            "target/shard",
            [latent("a", 5), latent("c", 7, seed=2)],  # the new one replaces what was kept
            encoder=ENCODER, rate=RATE, dim=6, inputs="made of this", kept=kept,
        )  # fmt: skip
        assert group.digest == whole.digest
        filesystem, top = filesystem_of(group)
        assert not [path for path in filesystem.find(top) if "unsealed" in path]

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

    @pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
    def test_a_byte_that_turned_over_on_its_medium_is_noticed(self, store, place):
        group = write(store, [latent("a", 3000)])
        filesystem, top = filesystem_of(group)
        content = bytearray(filesystem.cat_file(f"{top}/values/c/0/0"))
        content[int(place * len(content))] ^= 1
        filesystem.pipe_file(f"{top}/values/c/0/0", bytes(content))
        with pytest.raises(StoreMismatch, match=r"values, rows from \d+: damaged on its medium.*prepare it again"):
            store.open_group("target/shard").read("a", 0, 3000)

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
        with pytest.raises(StoreMismatch, match="schema 99: expected 2"):
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
    with pytest.raises(OutputNotWritable, match=r"Can't write .*Choose another place"):
        write(LatentStore(str(tmp_path / "file")), [latent("a", 5)])


def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unsealed, "write_bytes", full)
    with pytest.raises(OutputNotWritable, match="No space left"):
        write(LatentStore(str(tmp_path)), [latent("a", 5)])
