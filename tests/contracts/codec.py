"""What every `Codec` must do. Subclass, give `codec`, and state its round trip."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.protocols import Codec
from audiobuff_core.errors import InvalidAudio


def tone_and_noise(num_samples: int, sample_rate: int, *, channels: int = 1, seed: int = 0) -> Waveform:
    """A 440 Hz tone with a little noise, other noise in each channel: RMS about 0.1."""
    generator = np.random.default_rng(seed)
    tone = 0.13 * np.sin(2 * np.pi * 440 * np.arange(num_samples) / sample_rate)
    samples = tone + 0.03 * generator.standard_normal((channels, num_samples))
    return Waveform(samples.astype(np.float32), sample_rate)


class CodecContract:
    """The suite; `max_error` is the largest absolute error of a round trip at the codec's rate, None if it is lossy."""

    max_error: float | None = None
    max_stored_error_db: float | None = None

    @pytest.fixture
    def codec(self) -> Codec:
        raise NotImplementedError

    def test_identity_is_stable_and_fit_for_a_path(self, codec):
        assert codec.identity == codec.identity
        assert codec.identity.key.replace("-", "").replace("_", "").replace(".", "").isalnum()
        assert len(codec.identity.weights_hash) >= 8

    def test_frame_rate_is_exact(self, codec):
        assert isinstance(codec.frame_rate, Fraction)
        assert codec.frame_rate == Fraction(codec.sample_rate, codec.hop_length)

    @pytest.mark.parametrize("extra", [-1, 0, 1, 77])
    def test_round_trip_keeps_the_sample_count(self, codec, extra):
        waveform = tone_and_noise(9 * codec.hop_length + extra, codec.sample_rate)
        frames = codec.encode(waveform)
        decoded = codec.decode(frames, waveform.num_samples)
        assert frames.values.shape[0] == 1
        assert frames.dim == codec.latent_dim
        assert frames.values.dtype == torch.float32
        assert decoded.samples.shape == waveform.samples.shape
        assert decoded.sample_rate == codec.sample_rate
        if self.max_error is not None:
            assert np.abs(decoded.samples - waveform.samples).max() < self.max_error

    def test_one_sample(self, codec):
        waveform = Waveform(np.full((1, 1), 0.25, np.float32), codec.sample_rate)
        decoded = codec.decode(codec.encode(waveform), 1)
        assert decoded.samples.shape == (1, 1)
        if self.max_error is not None:
            assert abs(float(decoded.samples[0, 0]) - 0.25) < self.max_error

    @pytest.mark.parametrize("sample_rate", [8000, 22050, 48000, 192000])
    def test_any_rate(self, codec, sample_rate):
        waveform = tone_and_noise(sample_rate // 5 + 3, sample_rate)
        at_its_rate = resample(waveform, codec.sample_rate)
        decoded = codec.decode(codec.encode(waveform), at_its_rate.num_samples)
        assert decoded.num_samples == at_its_rate.num_samples
        if self.max_error is not None:
            assert np.abs(decoded.samples - at_its_rate.samples).max() < self.max_error

    def test_channels_don_t_mix(self, codec):
        stereo = tone_and_noise(5000, codec.sample_rate, channels=2)
        both = codec.encode(stereo).values
        alone = codec.encode(Waveform(stereo.samples[1:], codec.sample_rate)).values
        assert both.shape[0] == 2
        torch.testing.assert_close(both[1:], alone, rtol=1e-4, atol=1e-5)

    def test_frames_cover_the_track(self, codec):
        waveform = tone_and_noise(20_000, codec.sample_rate)
        frames = codec.encode(waveform)
        times = frames.times()
        one = 1 / float(codec.frame_rate)
        assert abs(float(times[0])) <= one
        assert abs(float(times[-1]) - waveform.duration_seconds) <= 1.5 * one
        assert frames.rate == codec.frame_rate
        assert frames.mask.all()

    def test_deterministic(self, codec):
        waveform = tone_and_noise(10_000, codec.sample_rate)
        first, second = codec.encode(waveform), codec.encode(waveform)
        assert torch.equal(first.values, second.values)
        decoded = [codec.decode(frames, 10_000).samples for frames in (first, second)]
        assert np.array_equal(*decoded)

    def test_silence_stays_finite(self, codec):
        frames = codec.encode(Waveform(np.zeros((1, 4000), np.float32), codec.sample_rate))
        assert frames.values.isfinite().all()

    def test_stored_form_comes_back(self, codec):
        waveform = tone_and_noise(20_000, codec.sample_rate)
        frames = codec.encode(waveform)
        stored = codec.to_stored(frames.values)
        back = codec.from_stored(stored)
        assert stored.shape[:2] == frames.values.shape[:2]
        assert back.shape == frames.values.shape
        assert back.dtype == torch.float32
        assert np.array_equal(codec.to_stored(back), stored)
        if self.max_stored_error_db is not None:
            error = 20 * torch.log10((back - frames.values).norm() / frames.values.norm())
            assert error < self.max_stored_error_db

    def test_dimensions_below_a_frequency_have_all_that_lies_there(self, codec):
        dims = codec.dims_below(codec.sample_rate / 4)
        if dims is None:  # no frequency axis
            assert codec.dims_below(1.0) is None
            return
        assert dims.shape == (codec.latent_dim,)
        assert codec.dims_below(codec.sample_rate).all()
        assert not codec.dims_below(0.0).any()
        low = codec.encode(tone_and_noise(20_000, codec.sample_rate)).values[0, 2:-2].square().mean(0)
        tone = torch.from_numpy(codec.dims_below(1_000.0))
        assert low[tone].mean() > 5 * low[~tone].mean()  # 440 Hz is in them

    def test_too_few_frames_are_refused(self, codec):
        frames = codec.encode(tone_and_noise(4 * codec.hop_length, codec.sample_rate))
        with pytest.raises(InvalidAudio, match="frames"):
            codec.decode(frames, 100 * codec.hop_length)
