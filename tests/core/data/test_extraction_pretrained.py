"""All three streams by the published encoders, with small random networks in the published formats."""

import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from damaged_shards import make_damaged_shards, write_recordings

from audiobuff_core.audio.read import read_audio
from audiobuff_core.codecs.registry import EncoderChoice, load_codec
from audiobuff_core.data.damage import load_degraded
from audiobuff_core.data.dataset import LatentDataset
from audiobuff_core.data.extraction import STREAMS, clean_record, damaged_record, extract_shard
from audiobuff_core.data.snapshot import make_snapshot
from audiobuff_core.data.store import open_group
from audiobuff_core.errors import DataMissing, StoreMismatch

sys.path.insert(0, str(Path(__file__).parent.parent / "codecs"))
from small_networks import SMALL_DAC, SMALL_XCODEC, save_audiomae, save_descript, save_xcodec

CHOICE = EncoderChoice(codec="dac", structure="xcodec", semantic="audiomae")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    save_descript(folder / "dac.pth", SMALL_DAC)
    save_xcodec(folder / "xcodec", SMALL_XCODEC)
    save_audiomae(folder / "audiomae")
    write_recordings(folder / "recordings", num_tracks=12)
    shards = make_damaged_shards(str(folder / "root"), folder / "recordings")
    return folder, str(folder / "root"), shards


@pytest.fixture
def prepared(places, monkeypatch):
    folder, root, shards = places
    monkeypatch.setenv("AUDIOBUFF_DAC_WEIGHTS", str(folder / "dac.pth"))
    monkeypatch.setenv("AUDIOBUFF_XCODEC_WEIGHTS", str(folder / "xcodec"))
    monkeypatch.setenv("AUDIOBUFF_AUDIOMAE_WEIGHTS", str(folder / "audiomae"))
    return root, shards


def test_every_stream_is_stored_as_small_as_it_goes(prepared):
    root, (shard, *_) = prepared
    stored = {}
    for stream in STREAMS:
        group = extract_shard(root, shard, stream, encoders=CHOICE)
        stored[stream] = group.read(group.record_ids[0], 0, 1)
    assert stored["target"].dtype == np.uint8
    assert stored["target"].shape[-1] == 4
    assert stored["structure"].dtype == np.uint8
    assert stored["semantic"].dtype == np.float16


def test_a_clean_track_is_at_the_gains_of_its_damaged_twin(prepared):
    root, (shard, *_) = prepared
    group = extract_shard(root, shard, "target", encoders=CHOICE)
    codec = load_codec("dac")
    for item in load_degraded(root, shard).items[:3]:
        damaged = codec.encode(read_audio(item.path).scaled(item.gain))
        clean = codec.encode_at(read_audio(item.clean_path).scaled(item.gain), damaged.gains)
        for name, frames in ((damaged_record, damaged), (clean_record, clean)):
            record = group.record(name(item.track_id, item.variant), codec.from_stored)
            assert torch.equal(record.values, frames.values)
            assert (record.rate, record.start) == (frames.rate, frames.start)
            assert torch.equal(record.gains, frames.gains)
            decoded = [codec.decode(one, item.num_samples // 3).samples for one in (record, frames)]
            assert np.array_equal(*decoded)  # at the level that was encoded


def test_a_snapshot_refuses_latents_of_two_encoders(prepared):
    root, shards = prepared
    for shard in shards:
        for stream in STREAMS:
            extract_shard(root, shard, stream, encoders=CHOICE)
    snapshot = make_snapshot(root, shards, encoders=CHOICE)
    assert len(snapshot.target_mean) == 16
    with pytest.raises(DataMissing, match=r"no target latents by builtin-mdct.*those of dac-16khz-factorized-1-\w+ "):
        make_snapshot(root, shards, encoders=EncoderChoice(structure="xcodec", semantic="audiomae"))


def test_shards_by_two_weights_of_one_encoder_are_not_mixed(prepared, tmp_path):
    root, (first, second, *_) = prepared
    save_descript(tmp_path / "other.pth", SMALL_DAC, seed=1)
    other = replace(CHOICE, codec=f"dac:{tmp_path / 'other.pth'}")
    keys = []
    for shard, encoders in ((first, CHOICE), (second, other)):
        for stream in STREAMS:
            group = extract_shard(root, shard, stream, encoders=encoders)
            keys += [group.encoder.key] if stream == "target" else []
    assert len(set(keys)) == 2
    with pytest.raises(DataMissing, match=rf"Shard {first} has no target latents by {keys[1]}.*{keys[0]}.*mixed"):
        make_snapshot(root, [first, second], encoders=other)


def test_latents_of_another_encoder_are_not_trained_on(prepared, tmp_path, monkeypatch):
    root, shards = prepared
    for shard in shards:
        for stream in STREAMS:
            extract_shard(root, shard, stream, encoders=CHOICE)
    snapshot = make_snapshot(root, shards, encoders=CHOICE)
    save_descript(tmp_path / "other.pth", SMALL_DAC, seed=1)
    monkeypatch.setenv("AUDIOBUFF_DAC_WEIGHTS", str(tmp_path / "other.pth"))
    with pytest.raises(StoreMismatch, match=r"is by dac-16khz-factorized-1-\w+: expected dac-16khz-factorized-1-\w+"):
        LatentDataset(snapshot, "train", segment_frames=32)


def test_streams_meet_at_their_true_moments_as_in_restoration(prepared):
    root, shards = prepared
    for shard in shards:
        for stream in STREAMS:
            extract_shard(root, shard, stream, encoders=CHOICE)
    snapshot = make_snapshot(root, shards, encoders=CHOICE)
    dataset = LatentDataset(snapshot, "train", segment_frames=32)
    item = dataset.items[0]
    first = 40
    segment = dataset.segment_at(item, first)
    assert segment.clean.times[0] == segment.damaged.times[0] == 0
    target = open_group(item.groups["target"]).record(damaged_record(item.track_id, 0), dataset.codec.from_stored)
    assert target.start == Fraction(20, 16_000)
    for stream in ("structure", "semantic"):
        encoder = dataset.encoders[stream]
        whole = open_group(item.groups[stream]).record(damaged_record(item.track_id, 0), encoder.from_stored)
        stretch = getattr(segment, stream)
        moments = whole.times() - target.times()[first]
        assert stretch.times[0] <= max(0, moments[0])
        place = int((moments - stretch.times[0]).abs().argmin())
        torch.testing.assert_close(stretch.times, moments[place : place + len(stretch.times)])
        values = dataset.standardisers[stream].to_standard(whole.values[0, place : place + len(stretch.times)])
        torch.testing.assert_close(stretch.values, values)
