"""What DAC does not take: one clear line each."""

import sys

import numpy as np
import pytest
import torch
from contracts.codec import tone_and_noise
from small_networks import SMALL_DAC

from audiobuff_core.codecs.dac import DacCodec
from audiobuff_core.codecs.dac_network import load_dac_network
from audiobuff_core.codecs.registry import load_codec
from audiobuff_core.errors import EncoderUnavailable, InvalidAudio, InvalidCheckpoint


@pytest.mark.parametrize("space", ["factorized", "summed"])
def test_codes_that_no_codebook_has_are_refused(networks, space):
    codec = DacCodec(networks["descript"], space=space)
    for code in (-1, 64):
        codes = torch.zeros(1, 5, 4, dtype=torch.int64)
        codes[0, 2, 1] = code  # not the last codebook: the look-up would find a neighbour's entry
        with pytest.raises(InvalidAudio, match=rf"{code}.*has 0 to 63"):
            codec.from_codes(codes)
    with pytest.raises(InvalidAudio, match=r"3 codebooks.*has 4"):
        codec.from_stored(np.zeros((1, 5, 3), np.uint8))
    assert codec.from_codes(torch.zeros(1, 0, 4, dtype=torch.int64)).shape == (1, 0, codec.latent_dim)


def test_weights_of_another_rate_are_refused(places):
    assert load_codec(f"dac-16khz:{places['descript']}").sample_rate == 16_000
    for name in ("dac-24khz", "dac-24khz-summed"):
        with pytest.raises(InvalidCheckpoint, match="of a DAC at 16000 Hz: expected 24000 Hz"):
            load_codec(f"{name}:{places['descript']}")


def test_published_facts_in_the_config_are_not_believed(places, tmp_path):
    import json
    import shutil

    shutil.copytree(places["transformers"], tmp_path / "hub")
    config = json.loads((tmp_path / "hub/config.json").read_text())
    # As the hub's file has them; a hop that contradicts the strides must not count.
    config |= {"hidden_size": 64, "upsampling_ratios": [5, 4, 2], "hop_length": 512, "torch_dtype": "float32"}
    (tmp_path / "hub/config.json").write_text(json.dumps(config))
    assert load_dac_network(tmp_path / "hub").hop_length == 40


@pytest.mark.parametrize(("package", "module"), [("descript", "dac.model"), ("transformers", "transformers")])
def test_a_missing_package_names_the_fix(places, tmp_path, monkeypatch, package, module):
    (tmp_path / "new").symlink_to(places[package])  # a place that was not read before
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EncoderUnavailable, match=r"pip install '?(descript-audio-codec|transformers)"):
        load_dac_network(tmp_path / "new")


def test_wrong_width_and_nan_are_refused(networks):
    codec = DacCodec(networks["descript"])
    frames = codec.encode(tone_and_noise(4000, 16_000))
    with pytest.raises(InvalidAudio, match="width 3"):
        codec.decode(type(frames)(frames.values[..., :3], frames.rate), 1000)
    with pytest.raises(InvalidAudio, match="NaN"):
        codec.decode(type(frames)(frames.values * float("nan"), frames.rate), 1000)


@pytest.mark.parametrize("break_it", ["truncated", "text", "other size", "pickle", "lacks one"])
def test_broken_weights_are_one_clear_line(places, tmp_path, break_it):
    path = tmp_path / "weights.pth"
    whole = places["descript"].read_bytes()
    if break_it == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif break_it == "text":
        path.write_text("<html>Not found</html>")
    elif break_it == "other size":
        saved = torch.load(places["descript"], weights_only=True)
        saved["metadata"]["kwargs"] = SMALL_DAC | {"encoder_dim": 16}
        torch.save(saved, path)
    elif break_it == "lacks one":
        saved = torch.load(places["descript"], weights_only=True)
        del saved["state_dict"]["encoder.block.0.weight_v"]
        torch.save(saved, path)
    else:
        torch.save({"state_dict": {}, "metadata": {"kwargs": print}}, path)
    with pytest.raises(InvalidCheckpoint, match="fetch") as caught:
        load_dac_network(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("magnitude", [torch.ones(1, 1, 7), torch.ones(8, 1, 1, dtype=torch.float64), torch.ones(8)])
def test_weight_norm_of_another_layer_is_refused(places, tmp_path, magnitude):
    saved = torch.load(places["descript"], weights_only=True)
    assert saved["state_dict"]["encoder.block.0.weight_g"].shape == (8, 1, 1)
    saved["state_dict"]["encoder.block.0.weight_g"] = magnitude  # torch itself would write beyond its memory
    torch.save(saved, tmp_path / "weights.pth")
    with pytest.raises(InvalidCheckpoint, match=r"encoder\.block\.0\.weight_g.*expected torch\.float32 \[8, 1, 1\]"):
        load_dac_network(tmp_path / "weights.pth")


def test_a_folder_of_another_encoder_is_refused_by_its_config(places, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "xcodec"}')
    with pytest.raises(InvalidCheckpoint, match=r"describes 'xcodec' as its model_type: expected 'dac'"):
        load_dac_network(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(InvalidCheckpoint, match=r"describes None as its model_type"):
        load_dac_network(tmp_path)


def test_a_broken_folder_is_one_clear_line(places, tmp_path):
    import shutil

    shutil.copytree(places["transformers"], tmp_path / "hub")
    weights = tmp_path / "hub/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InvalidCheckpoint, match="fetch-weights"):
        load_dac_network(tmp_path / "hub")
    weights.unlink()
    with pytest.raises(InvalidCheckpoint, match="fetch-weights"):
        load_dac_network(tmp_path / "hub")
