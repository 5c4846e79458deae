import sys
import types
from fractions import Fraction

import numpy as np
import pytest
import torch
from contracts.codec import tone_and_noise
from contracts.feature_encoder import FeatureEncoderContract
from small_networks import SMALL_XCODEC, save_xcodec
from torch import nn

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.registry import load_feature_encoder
from audiobuff_core.codecs.xcodec import load_xcodec
from audiobuff_core.errors import EncoderUnavailable, InvalidAudio, InvalidCheckpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("xcodec")
    save_xcodec(place, SMALL_XCODEC)
    return place


@pytest.fixture(scope="module")
def xcodec(folder):
    return load_xcodec(str(folder))


class TestXCodec(FeatureEncoderContract):
    knows_its_place = True
    clock_frames = 50 * 0.4  # random attention carries a burst all over the stretch; trained one keeps it near

    @pytest.fixture
    def encoder(self, xcodec):
        return xcodec


def test_features_are_the_decoded_codes(folder, xcodec):
    from transformers import XcodecModel

    model = XcodecModel.from_pretrained(folder).eval()
    waveform = tone_and_noise(32_000, 16_000)
    with torch.no_grad():
        codes = model.encode(torch.from_numpy(waveform.samples)[None]).audio_codes
        expected = model.quantizer.decode(codes.transpose(0, 1))
    frames = xcodec.encode(waveform)
    assert frames.values.shape == (1, 100, 40)
    assert frames.rate == Fraction(50)
    assert frames.start == Fraction(1, 100)
    assert torch.equal(frames.values, expected.transpose(1, 2))
    stored = xcodec.to_stored(frames.values)
    assert np.array_equal(stored[0], codes[0].T.numpy())
    assert stored.dtype == np.uint8
    assert len(np.unique(stored)) > 8


def test_weight_norm_is_folded(xcodec):
    assert not [name for name, _ in xcodec._network._model.named_parameters() if "parametrizations" in name]


def test_long_audio_has_the_same_windows_as_a_longer_one(xcodec):
    waveform = tone_and_noise(39 * 16_000, 16_000)
    frames = xcodec.encode(waveform)
    assert frames.num_frames == 1950
    longer = xcodec.encode(Waveform(np.concatenate([waveform.samples] * 2, axis=1), 16_000))
    assert torch.equal(longer.values[:, :1850], frames.values[:, :1850])


def test_features_from_elsewhere_are_requantised_or_refused(xcodec):
    codes = np.zeros((1, 5, 4), np.uint8)
    features = xcodec.from_stored(codes)
    with pytest.raises(InvalidAudio, match="nearest codes"):
        xcodec.to_stored(features + 1.0)
    assert np.array_equal(xcodec.to_stored(features), codes)


def test_codes_that_no_codebook_has_are_refused(xcodec):
    codes = np.zeros((1, 5, 4), np.uint8)
    codes[0, 2, 1] = 64
    with pytest.raises(InvalidAudio, match=r"0 to 64.*has 0 to 63"):
        xcodec.from_stored(codes)


def test_without_transformers_the_fix_is_named(folder, monkeypatch, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "new")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(EncoderUnavailable, match="pip install 'transformers"):
        load_xcodec(str(tmp_path / "new"))


def test_a_broken_folder_is_refused(tmp_path, folder):
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, tmp_path / "cut")
    weights = tmp_path / "cut/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(InvalidCheckpoint, match="fetch-weights xcodec"):
        load_xcodec(str(tmp_path / "cut"))
    state = load_file(folder / "model.safetensors")
    state.pop("fc.weight")
    save_file(state, weights, metadata={"format": "pt"})
    with pytest.raises(InvalidCheckpoint, match=r"lacks 1 weights of an X-Codec, fc\.weight"):
        load_xcodec(str(tmp_path / "cut"))


def test_a_folder_of_another_encoder_is_refused_in_one_line(tmp_path, folder, capfd):
    import shutil

    shutil.copytree(folder, tmp_path / "dac")
    (tmp_path / "dac/config.json").write_text('{"model_type": "dac"}')
    with pytest.raises(InvalidCheckpoint, match=r"describes 'dac' as its model_type: expected 'xcodec'"):
        load_xcodec(str(tmp_path / "dac"))
    assert capfd.readouterr().err == ""  # the library's report of keys is many lines


class Quantizer(nn.Module):
    """Three random codebooks of 1024 entries, 12 wide, each for what the one before left over."""

    def __init__(self):
        super().__init__()
        self.register_buffer("books", torch.randn(3, 1024, 12, generator=torch.Generator().manual_seed(0)))

    def encode(self, features):
        residual, codes = features.transpose(1, 2), []
        for book in self.books:
            codes.append(torch.cdist(residual, book[None]).argmin(2))
            residual = residual - book[codes[-1]]
        return torch.stack(codes)

    def decode(self, codes):
        return sum(book[code] for book, code in zip(self.books, codes, strict=True)).transpose(1, 2)


class FollowsTheContract(nn.Module):
    """The smallest model that does: the energy of a hop, as three digits."""

    sample_rate, hop_length, codebook_size = 16_000, 320, 1024

    def __init__(self):
        super().__init__()
        self.quantizer = Quantizer()

    def encode(self, audio):
        energy = audio.reshape(1, -1, 320).square().mean(2)
        return torch.stack([(energy * scale).long() % 1024 for scale in (1e2, 1e4, 1e6)])


@pytest.fixture
def module(monkeypatch):
    made = types.ModuleType("xcodec")
    made.load_model = lambda location: FollowsTheContract()
    monkeypatch.setitem(sys.modules, "xcodec", made)
    return made


class TestXCodecModule(FeatureEncoderContract):
    @pytest.fixture
    def encoder(self, module):
        return load_feature_encoder("structure", "xcodec-module")


def test_the_module_is_given_its_location(module):
    seen = []
    module.load_model = lambda location: seen.append(location) or FollowsTheContract()
    encoder = load_feature_encoder("structure", "xcodec-module:/some/weights.pt")
    assert seen == ["/some/weights.pt"]
    assert encoder.identity.key.startswith("xcodec-module-0-")
    frames = encoder.encode(tone_and_noise(3200, 16_000))
    assert encoder.to_stored(frames.values).dtype == np.uint16


def test_a_module_that_breaks_the_contract_is_refused(module, monkeypatch):
    module.load_model = lambda location: nn.Linear(2, 2)
    with pytest.raises(InvalidCheckpoint, match="has no sample_rate, hop_length"):
        load_feature_encoder("structure", "xcodec-module")
    del module.load_model
    with pytest.raises(EncoderUnavailable, match="no load_model"):
        load_feature_encoder("structure", "xcodec-module")
    monkeypatch.setitem(sys.modules, "xcodec", None)
    with pytest.raises(EncoderUnavailable, match="pip install git"):
        load_feature_encoder("structure", "xcodec-module")


@pytest.mark.slow
def test_published_size(tmp_path):
    save_xcodec(tmp_path)
    encoder = load_xcodec(str(tmp_path))
    frames = encoder.encode(tone_and_noise(12 * 16_000, 16_000))
    assert frames.values.shape == (1, 600, 1024)
    assert encoder.to_stored(frames.values).shape == (1, 600, 8)
