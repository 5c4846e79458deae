import time

import numpy as np
import pytest
import torch
from contracts.codec import tone_and_noise
from contracts.feature_encoder import FeatureEncoderContract

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.descriptors import SemanticDescriptors, StructureDescriptors
from audiobuff_core.codecs.spectrum import chroma_matrix, cosine_matrix, mel_matrix, power_spectra


def harmonic_tone(frequency_hz: float, seconds: float = 1.0, sample_rate: int = 44_100) -> Waveform:
    moments = np.arange(round(seconds * sample_rate)) / sample_rate
    tone = sum(np.sin(2 * np.pi * frequency_hz * k * moments) / k for k in range(1, 8))
    return Waveform((0.1 * tone)[None].astype(np.float32), sample_rate)


class TestStructureDescriptors(FeatureEncoderContract):
    clock_frames = 0.1

    @pytest.fixture
    def encoder(self):
        return StructureDescriptors()

    @pytest.mark.parametrize("frequency_hz", [82.4, 147.0, 220.0, 391.0])
    def test_pitch(self, encoder, frequency_hz):
        values = encoder.encode(harmonic_tone(frequency_hz)).values[0, 5:-5]
        voicing = (values[:, 14] + 1.4) / 3
        octaves = values[:, 13] / 2 / voicing
        assert voicing.min() > 0.9
        assert (200 * 2**octaves - frequency_hz).abs().max() < 0.01 * frequency_hz

    @pytest.mark.parametrize(("frequency_hz", "pitch_class"), [(440.0, 9), (523.25, 0), (1318.5, 4)])
    def test_chroma(self, encoder, frequency_hz, pitch_class):
        moments = np.arange(22_050) / 44_100
        sine = Waveform((0.1 * np.sin(2 * np.pi * frequency_hz * moments))[None].astype(np.float32), 44_100)
        chroma = encoder.encode(sine).values[0, 5:-5, :12]
        assert (chroma.argmax(1) == pitch_class).all()

    def test_noise_is_unvoiced_and_flat(self, encoder):
        noise = 0.1 * np.random.default_rng(0).standard_normal((1, 32_000))
        values = encoder.encode(Waveform(noise.astype(np.float32), 16_000)).values[0, 5:-5]
        tone = encoder.encode(harmonic_tone(200)).values[0, 5:-5]
        assert values[:, 14].mean() < tone[:, 14].mean() - 1
        assert values[:, 17].mean() > tone[:, 17].mean() + 1

    def test_onsets(self, encoder):
        samples = 1e-3 * np.random.default_rng(0).standard_normal(48_000)
        for moment in (0.5, 1.2, 2.4):
            samples[round(moment * 16_000) :] *= 4
        strength = encoder.encode(Waveform(samples[None].astype(np.float32), 16_000)).values[0, 1:, 12]
        found = sorted((strength.topk(6).indices + 1).tolist())
        assert all(min(abs(frame - 50 * moment) for frame in found) <= 1 for moment in (0.5, 1.2, 2.4))

    def test_level_follows_the_level(self, encoder):
        waveform = tone_and_noise(16_000, 16_000)
        louder = encoder.encode(waveform.scaled(10.0)).values[0, 3:-3, 15]
        difference = louder - encoder.encode(waveform).values[0, 3:-3, 15]
        assert difference.mean() == pytest.approx(2 / 1.2, abs=0.02)  # 20 dB is 2 in log10 of power


class TestSemanticDescriptors(FeatureEncoderContract):
    clock_frames = 0.1

    @pytest.fixture
    def encoder(self):
        return SemanticDescriptors()

    def test_bands_order_by_frequency(self, encoder):
        low, high = (encoder.encode(harmonic_tone(frequency)).values[0, 2:-2] for frequency in (110.0, 3000.0))
        assert (low[:, 0:10].mean() - low[:, 30:48].mean()) > (high[:, 0:10].mean() - high[:, 30:48].mean()) + 1

    def test_motion_tells_a_tremolo_from_a_steady_tone(self, encoder):
        steady = harmonic_tone(220, seconds=2.0)
        sway = 1 + 0.9 * np.sin(2 * np.pi * 12 * np.arange(steady.num_samples) / steady.sample_rate)
        moving = Waveform((steady.samples * sway).astype(np.float32), steady.sample_rate)
        motion = [encoder.encode(waveform).values[0, 2:-2, 96:112].mean() for waveform in (moving, steady)]
        assert motion[0] > motion[1] + 0.5


@pytest.mark.parametrize("encoder", [StructureDescriptors(), SemanticDescriptors()], ids=["structure", "semantic"])
class TestBoth:
    def test_values_are_of_order_one(self, encoder):
        generator = np.random.default_rng(3)
        parts = [harmonic_tone(f, 0.5).samples[0] for f in (110, 196, 330, 700)]
        music = np.concatenate(parts) + 0.02 * generator.standard_normal(4 * 22_050)
        values = encoder.encode(Waveform(music[None].astype(np.float32), 44_100)).values[0]
        assert values.mean().abs() < 1
        assert 0.3 < values.std() < 3
        assert values.abs().max() < 20

    def test_blocks_join_without_a_seam(self, encoder, monkeypatch):
        waveform = tone_and_noise(10 * 16_000, 16_000)
        whole = encoder.encode(waveform).values
        monkeypatch.setattr("audiobuff_core.codecs.spectrum.FRAMES_A_BLOCK", 37)
        torch.testing.assert_close(encoder.encode(waveform).values, whole, rtol=1e-3, atol=1e-3)

    def test_much_faster_than_real_time(self, encoder):
        waveform = tone_and_noise(60 * 16_000, 16_000)
        encoder.encode(waveform)
        seconds = []
        for _ in range(3):
            begin = time.process_time()
            encoder.encode(waveform)
            seconds.append(time.process_time() - begin)
        assert 60 / min(seconds) > 100  # about 600 on an idle core; the margin is for a busy one


def test_power_of_white_noise_is_one_in_every_bin():
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    blocks = power_spectra(noise, num_frames=700, hop_samples=256, window_samples=512, fft_size=512)
    power = torch.cat(list(blocks))[2:-2]
    assert power.shape == (696, 257)
    assert power[:, 1:-1].mean().item() == pytest.approx(1, abs=0.02)


def test_mel_bands_are_weighted_means_in_order():
    matrix = mel_matrix(48, fft_size=512, sample_rate=16_000, lowest_hz=40, highest_hz=8000)
    torch.testing.assert_close(matrix.sum(0), torch.ones(48))
    centres = (matrix * torch.arange(257)[:, None]).sum(0)
    assert (centres.diff() > 0).all()


def test_chroma_of_octaves_is_the_same_class():
    matrix = chroma_matrix(fft_size=16_000, sample_rate=16_000, lowest_hz=65, highest_hz=4200)
    for frequency_hz in (110, 220, 440, 880, 1760):
        assert int(matrix[frequency_hz].argmax()) == 9
    assert matrix[:65].abs().sum() == 0


def test_cosine_matrix_is_orthonormal_and_blind_to_the_mean():
    matrix = cosine_matrix(48, 16)
    torch.testing.assert_close(matrix.T @ matrix, torch.eye(16), rtol=0, atol=1e-5)
    assert matrix.sum(0).abs().max() < 1e-4
