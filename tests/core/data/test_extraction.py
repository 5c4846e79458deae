import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from damaged_shards import make_damaged_shards, write_recordings

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.codecs.builtin import MdctCodec
from audiobuff_core.codecs.registry import EncoderChoice, load_codec
from audiobuff_core.data import extraction
from audiobuff_core.data.damage import DegradedItem, DegradedShard, degrade_shard, load_degraded, plan_shard
from audiobuff_core.data.extraction import STREAMS, clean_record, damaged_record, extract_shard, load_extracted
from audiobuff_core.errors import DataMissing, EncoderUnavailable, InvalidConfig, StoreNotSealed
from audiobuff_core.files import exists

BUILTIN = EncoderChoice()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    write_recordings(folder / "recordings", num_tracks=4)
    return folder / "root", make_damaged_shards(str(folder / "root"), folder / "recordings")[0]


@pytest.fixture
def root(prepared, tmp_path):
    shutil.copytree(prepared[0], tmp_path / "root")
    return str(tmp_path / "root")


@pytest.fixture
def shard(prepared):
    return prepared[1]


def test_target_has_clean_and_damaged_at_the_same_gain(root, shard):
    group = extract_shard(root, shard, "target", encoders=BUILTIN)
    codec = load_codec("builtin")
    items = load_degraded(root, shard).items
    assert set(group.record_ids) == {
        name(item.track_id, item.variant) for item in items for name in (clean_record, damaged_record)
    }
    for item in items:
        for record_id, path in (
            (clean_record(item.track_id, item.variant), item.clean_path),
            (damaged_record(item.track_id, item.variant), item.path),
        ):
            truth = read_audio(path)
            decoded = codec.decode(group.record(record_id), truth.num_samples).scaled(1 / item.gain)
            error = np.square(decoded.samples - truth.samples).sum() / np.square(truth.samples).sum()
            assert 10 * np.log10(error) < -55
        assert np.sqrt(np.square(read_audio(item.path).samples).mean()) * item.gain == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize(
    ("stream", "rate", "dim"), [("structure", Fraction(50), 24), ("semantic", Fraction(25, 4), 128)]
)
def test_side_streams_have_the_damaged_audio_alone(root, shard, stream, rate, dim):
    group = extract_shard(root, shard, stream, encoders=BUILTIN)
    items = load_degraded(root, shard).items
    assert set(group.record_ids) == {damaged_record(item.track_id, item.variant) for item in items}
    assert (group.rate, group.dim) == (rate, dim)
    for item in items:
        seconds = item.num_samples / 44_100
        assert abs(group.frames_of(damaged_record(item.track_id, item.variant)) - seconds * float(rate)) <= 1.01


def test_the_place_names_stream_encoder_and_content(root, shard):
    group = extract_shard(root, shard, "target", encoders=BUILTIN)
    inside = group.path.removeprefix(f"{root}/").split("/")
    assert inside[:3] == ["latents", "target", load_codec("builtin").identity.key]
    assert len(inside[3]) == 16
    assert group.extra["shard"] == shard


def test_again_encodes_nothing(root, shard, monkeypatch):
    first = extract_shard(root, shard, "target", encoders=BUILTIN)

    def fail(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(MdctCodec, "encode", fail)
    assert extract_shard(root, shard, "target", encoders=BUILTIN).digest == first.digest


@pytest.mark.parametrize("stream", STREAMS)
def test_the_same_audio_gives_the_same_latents(root, shard, stream):
    first = extract_shard(root, shard, stream, encoders=BUILTIN)
    shutil.rmtree(first.path)
    assert extract_shard(root, shard, stream, encoders=BUILTIN).digest == first.digest


def test_a_run_that_was_cut_off_is_made_whole_by_the_next(root, shard, monkeypatch):
    whole = extract_shard(root, shard, "target", encoders=BUILTIN)
    shutil.rmtree(whole.path)
    encode, calls = MdctCodec.encode, []

    def interrupted(self: MdctCodec, waveform: Waveform) -> object:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return encode(self, waveform)

    monkeypatch.setattr(MdctCodec, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract_shard(root, shard, "target", encoders=BUILTIN)
    with pytest.raises(StoreNotSealed):
        load_extracted(root, shard, "target", encoders=BUILTIN)
    num_finished = len(calls) - 1
    calls.clear()
    monkeypatch.setattr(MdctCodec, "encode", lambda self, waveform: calls.append(1) or encode(self, waveform))
    assert extract_shard(root, shard, "target", encoders=BUILTIN).digest == whole.digest
    assert len(calls) == len(whole.record_ids) - num_finished // 2 * 2  # a track's two records go together


def test_a_lost_object_is_made_again(root, shard):
    group = extract_shard(root, shard, "semantic", encoders=BUILTIN)
    next((Path(group.path) / "values" / "c").rglob("0")).joinpath("0").unlink()
    with pytest.raises(StoreNotSealed, match="missing"):
        load_extracted(root, shard, "semantic", encoders=BUILTIN)
    assert extract_shard(root, shard, "semantic", encoders=BUILTIN).digest == group.digest
    assert load_extracted(root, shard, "semantic", encoders=BUILTIN).digest == group.digest


def test_other_damage_goes_to_another_place(root, shard):
    first = extract_shard(root, shard, "semantic", encoders=BUILTIN)
    plan_shard(root, shard, seed=2)
    degrade_shard(root, shard)
    with pytest.raises(DataMissing, match="extract latents/semantic of it again"):
        load_extracted(root, shard, "semantic", encoders=BUILTIN)
    second = extract_shard(root, shard, "semantic", encoders=BUILTIN)
    assert second.path != first.path
    assert second.digest != first.digest
    assert exists(f"{first.path}/manifest.json")


def test_stereo_and_other_rates(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    paths = []
    for name in ("clean", "damaged"):
        samples = 0.1 * generator.standard_normal((2, 9_001))
        paths.append(str(tmp_path / f"{name}.wav"))
        write_audio(paths[-1], Waveform(samples.astype(np.float32), 32_000))
    item = DegradedItem("a", 0, paths[1], paths[1], paths[0], None, "train", 9_001, 2.0)  # type: ignore[arg-type]
    monkeypatch.setattr(extraction, "load_degraded", lambda *_: DegradedShard("s", "d", "p", (item,)))
    group = extract_shard(str(tmp_path), "s", "target", encoders=BUILTIN)
    codec = load_codec("builtin")
    expected = codec.encode(read_audio(paths[0]).scaled(2.0)).values
    assert expected.shape[0] == 2
    assert (group.record("a/clean.v0").values - expected).abs().max() < 2e-3


def test_what_is_missing_or_unknown_is_named(root, shard):
    with pytest.raises(DataMissing, match="no-such-shard"):
        extract_shard(root, "no-such-shard", "target", encoders=BUILTIN)
    with pytest.raises(DataMissing, match=f"{shard} has no structure latents by builtin-structure"):
        load_extracted(root, shard, "structure", encoders=BUILTIN)
    with pytest.raises(EncoderUnavailable, match="'dream'"):
        extract_shard(root, shard, "target", encoders=EncoderChoice(codec="dream"))
    with pytest.raises(InvalidConfig, match="target, structure, semantic"):
        extract_shard(root, shard, "smell", encoders=BUILTIN)  # type: ignore[arg-type]
