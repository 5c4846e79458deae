import json
import shutil
from fractions import Fraction
from pathlib import Path
from uuid import uuid4

import pytest
import torch

from audiobuff_assets import cli
from audiobuff_core.codecs.registry import load_codec
from audiobuff_core.data.legacy_cache import CACHED, import_cache
from audiobuff_core.data.store import LatentStore
from audiobuff_core.errors import DataMissing, InvalidAudio, InvalidConfig, StoreMismatch

LEGACY = Path(__file__).parents[2] / "fixtures" / "legacy"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "latents"
    folder.mkdir()
    for path in LEGACY.glob("track_a_seg_*.pt"):
        shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize("place", ["disk", "memory"])
def test_every_tensor_comes_back_bit_for_bit(cache: Path, tmp_path: Path, place: str) -> None:
    out = str(tmp_path / "zarr") if place == "disk" else f"memory://{uuid4().hex}"
    import_cache(cache, out)
    for stream, (key, _) in CACHED.items():
        group = LatentStore(out).open_group(stream)
        assert len(group.record_ids) == 2
        for index in (0, 1):
            name = f"track_a_seg_{index:05d}"
            original = torch.load(cache / f"{name}.pt", weights_only=True)[key]
            record = group.record(f"{name}/clean.v0" if stream == "target" else f"{name}/v0")
            assert torch.equal(record.values[0], original)


def test_the_groups_say_that_their_conditioning_is_unverified(cache: Path, tmp_path: Path) -> None:
    groups = import_cache(cache, str(tmp_path / "zarr"))
    assert {group.extra["conditioning"] for group in groups.values()} == {"unverified"}
    manifest = json.loads((tmp_path / "zarr" / "structure" / "manifest.json").read_text())
    assert manifest["extra"]["conditioning"] == "unverified"
    with pytest.raises(StoreMismatch, match="original-dac-44khz"):  # no training takes it for its own encoder's
        LatentStore(str(tmp_path / "zarr")).open_group("target", encoder=load_codec("builtin").identity)


def test_all_streams_last_equally_long(cache: Path, tmp_path: Path) -> None:
    groups = import_cache(cache, str(tmp_path / "zarr"), dac_model_type="44khz")
    assert groups["target"].rate == Fraction(44_100, 512)
    lasting = {sum(group.frames_of(record) for record in group.record_ids) / group.rate for group in groups.values()}
    assert lasting == {68 / Fraction(44_100, 512)}
    assert import_cache(cache, str(tmp_path / "other"), dac_model_type="24khz")["target"].rate == 75


def test_segments_stand_in_the_order_of_their_numbers(cache: Path, tmp_path: Path) -> None:
    for index in (9, 10, 100_000, 99_999):
        shutil.copy(cache / "track_a_seg_00000.pt", cache / f"b_seg_{index:05d}.pt")
    names = import_cache(cache, str(tmp_path / "zarr"))["structure"].record_ids
    order = [f"b_seg_{index:05d}/v0" for index in (9, 10, 99_999, 100_000)]
    assert names == (*order, "track_a_seg_00000/v0", "track_a_seg_00001/v0")


def test_an_import_is_repeated_only_where_the_cache_changed(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "zarr"
    import_cache(cache, str(out))
    seal = out / "target" / "manifest.json"
    before = seal.stat().st_mtime_ns
    import_cache(cache, str(out))
    assert seal.stat().st_mtime_ns == before
    (cache / "track_a_seg_00001.pt").unlink()
    assert len(import_cache(cache, str(out))["target"].record_ids) == 1


def _spoil(cache: Path, **changes: object) -> None:
    content = torch.load(cache / "track_a_seg_00001.pt", weights_only=True)
    kept = {name: value for name, value in (content | changes).items() if value is not None}
    torch.save(kept, cache / "track_a_seg_00001.pt")


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"mae_noisy": None}, StoreMismatch, "00001.pt has mae_noisy of NoneType"),
        ({"xcodec_noisy": torch.zeros(3)}, StoreMismatch, r"xcodec_noisy of \[3\]"),
        ({"xcodec_noisy": torch.zeros(20, 512)}, StoreMismatch, "'structure': 512.*'structure': 24"),
        ({"dac_clean": torch.full((34, 32), torch.nan)}, InvalidAudio, "not finite"),
    ],
)
def test_a_bad_segment_is_named_and_nothing_is_sealed(
    cache: Path, tmp_path: Path, changes: dict, error: type, said: str
) -> None:
    _spoil(cache, **changes)
    with pytest.raises(error, match=said):
        import_cache(cache, str(tmp_path / "zarr"))
    assert not list((tmp_path / "zarr").glob("*/manifest.json"))


def test_a_folder_without_segments_and_an_unknown_codec_are_refused(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataMissing, match="No cached latents"):
        import_cache(tmp_path / "empty", str(tmp_path / "zarr"))
    with pytest.raises(InvalidConfig, match="48khz"):
        import_cache(cache, str(tmp_path / "zarr"), dac_model_type="48khz")
    (cache / "track_a_seg_00002.pt").write_bytes(b"cut")
    with pytest.raises(StoreMismatch, match="track_a_seg_00002"):
        import_cache(cache, str(tmp_path / "zarr"))


def test_the_command_imports_and_says_what(cache: Path, tmp_path: Path, capsys) -> None:
    assert cli.main(["import-cache", str(cache), "--out", str(tmp_path / "zarr")]) == 0
    said = capsys.readouterr().out
    assert "Imported 2 segments" in said
    assert "unverified" in said
    assert cli.main(["import-cache", str(tmp_path / "none"), "--out", str(tmp_path / "zarr")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
