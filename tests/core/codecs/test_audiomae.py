from fractions import Fraction

import numpy as np
import pytest
import torch
from contracts.codec import tone_and_noise
from contracts.feature_encoder import FeatureEncoderContract
from small_networks import quiet_import, random_weights, save_audiomae

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.audiomae import AudioMae, load_audiomae
from audiobuff_core.codecs.fbank import kaldi_fbank
from audiobuff_core.codecs.feature_windows import plan_feature_windows
from audiobuff_core.errors import EncoderUnavailable, InvalidCheckpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("audiomae")
    save_audiomae(place)
    return place


@pytest.fixture(scope="module")
def audiomae(folder):
    return load_audiomae(str(folder))


class TestAudioMae(FeatureEncoderContract):
    knows_its_place = True

    @pytest.fixture
    def encoder(self, audiomae):
        return audiomae


@pytest.mark.parametrize("num_samples", [400, 559, 560, 16_000, 50_001])
def test_filter_bank_is_kaldis(num_samples):
    kaldi = quiet_import("torchaudio.compliance.kaldi")
    samples = torch.from_numpy(tone_and_noise(num_samples, 16_000).samples[0])
    expected = kaldi.fbank(
        samples[None],
        htk_compat=True,
        sample_frequency=16_000,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=128,
        dither=0.0,
        frame_shift=10,
    )
    torch.testing.assert_close(kaldi_fbank(samples), expected, rtol=0, atol=1e-4)


def test_tokens_are_the_models_pooled_over_frequency(folder, audiomae):
    timm = quiet_import("timm")
    model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
    waveform = tone_and_noise(163_840, 16_000)
    picture = AudioMae.picture(torch.from_numpy(waveform.samples[0]))
    with torch.no_grad():
        tokens = model.forward_features(picture[None, None])
    assert tokens.shape == (1, 513, 32)
    expected = tokens[0, 1:].reshape(64, 8, 32).mean(1)
    torch.testing.assert_close(audiomae.encode(waveform).values[0], expected)


def test_patches_are_time_major(audiomae):
    samples = torch.zeros(163_840)
    before = audiomae._tokens(samples)
    samples[80_000:80_400] = torch.from_numpy(tone_and_noise(400, 16_000).samples[0])
    change = (audiomae._tokens(samples) - before).square().sum(1)
    assert int(change.argmax()) in (31, 32)


def test_frames_are_at_six_and_a_quarter_a_second(audiomae):
    assert audiomae.frame_rate == Fraction(25, 4)
    frames = audiomae.encode(tone_and_noise(160_000, 16_000))
    assert frames.num_frames == 63  # 62.5, rounded up
    assert frames.start == Fraction(175, 2000)  # 16 shifts of 10 ms, frames of 25 ms: the middle


def test_long_audio_is_heard_in_windows_at_their_true_times(audiomae):
    waveform = tone_and_noise(30 * 16_000, 16_000)
    frames = audiomae.encode(waveform)
    assert frames.num_frames == 188
    window = audiomae.encode(Waveform(waveform.samples[:, 48 * 2560 : 112 * 2560], 16_000))
    torch.testing.assert_close(frames.values[:, 56:104], window.values[:, 8:56])
    longer = audiomae.encode(Waveform(np.concatenate([waveform.samples] * 2, axis=1), 16_000))
    torch.testing.assert_close(longer.values[:, :144], frames.values[:, :144])


@pytest.mark.parametrize("num_frames", [1, 48, 63, 64, 65, 112, 113, 500])
def test_windows_cover_every_frame_once(num_frames):
    windows = list(plan_feature_windows(num_frames, hop_length=10, window_frames=64, overlap_frames=16))
    assert [frame for window in windows for frame in range(window.first, window.last)] == list(range(num_frames))
    for window in windows:
        assert window.begin <= 10 * window.first < 10 * window.last <= window.end
        assert window.end - window.begin <= 640
        assert len(windows) == 1 or window.end - window.begin > 160


def test_a_broken_or_other_network_is_refused(tmp_path, folder):
    import json
    import shutil

    shutil.copytree(folder, tmp_path / "cut")
    weights = tmp_path / "cut/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(InvalidCheckpoint, match="fetch-weights audiomae"):
        load_audiomae(str(tmp_path / "cut"))
    shutil.copytree(folder, tmp_path / "wide")
    config = json.loads((folder / "config.json").read_text())
    config["model_args"]["embed_dim"] = 64
    (tmp_path / "wide/config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidCheckpoint, match="fetch-weights audiomae"):
        load_audiomae(str(tmp_path / "wide"))


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(InvalidCheckpoint, match=r"config\.json can't be read as JSON \(No such file"):
        load_audiomae(str(tmp_path))
    (tmp_path / "config.json").write_text('{"architecture": "resnet50"}')
    with pytest.raises(InvalidCheckpoint, match=r"describes 'resnet50' as its architecture.*fetch-weights audiomae"):
        load_audiomae(str(tmp_path))


def test_without_timm_the_fix_is_named(folder, monkeypatch, tmp_path):
    import shutil
    import sys

    shutil.copytree(folder, tmp_path / "new")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(EncoderUnavailable, match="pip install timm"):
        load_audiomae(str(tmp_path / "new"))


@pytest.mark.slow
def test_published_size(tmp_path):
    random_weights.save_audiomae(tmp_path)
    encoder = load_audiomae(str(tmp_path))
    frames = encoder.encode(tone_and_noise(12 * 16_000, 16_000))
    assert frames.values.shape == (1, 75, 768)
    assert frames.values.isfinite().all()
