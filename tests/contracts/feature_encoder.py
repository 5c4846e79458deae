"""What every `FeatureEncoder` must do. Subclass and give `encoder`."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.protocols import FeatureEncoder
from contracts.codec import tone_and_noise


class FeatureEncoderContract:
    """The suite; a burst must be found within `clock_frames` of its true moment.

    An encoder that `knows_its_place` (a transformer with positions) hears even silence differently at each moment.
    """

    clock_frames = 1.0
    knows_its_place = False

    @pytest.fixture
    def encoder(self) -> FeatureEncoder:
        raise NotImplementedError

    def test_identity_is_stable_and_fit_for_a_path(self, encoder):
        assert encoder.identity == encoder.identity
        assert encoder.identity.key.replace("-", "").replace("_", "").replace(".", "").isalnum()

    @pytest.mark.parametrize("sample_rate", [8000, 16000, 44100, 192000])
    @pytest.mark.parametrize("seconds", [0.013, 1.0, 2.37])
    def test_shape_clock_and_width(self, encoder, sample_rate, seconds):
        waveform = tone_and_noise(round(seconds * sample_rate), sample_rate)
        frames = encoder.encode(waveform)
        assert isinstance(encoder.frame_rate, Fraction)
        assert frames.rate == encoder.frame_rate
        assert frames.values.shape[0] == 1
        assert frames.dim == encoder.feature_dim
        assert frames.values.dtype == torch.float32
        assert frames.values.isfinite().all()
        one = 1 / float(encoder.frame_rate)
        assert abs(float(frames.times()[0])) <= one
        assert abs(float(frames.times()[-1]) - waveform.duration_seconds) <= 1.01 * one

    def test_one_sample(self, encoder):
        frames = encoder.encode(Waveform(np.full((1, 1), 0.5, np.float32), 44_100))
        assert frames.num_frames >= 1
        assert frames.values.isfinite().all()

    def test_silence_is_finite_and_even(self, encoder):
        values = encoder.encode(Waveform(np.zeros((1, 32_000), np.float32), 16_000)).values
        assert values.isfinite().all()
        if self.knows_its_place:
            return
        torch.testing.assert_close(values[:, 1:-1], values[:, 1:2].expand_as(values[:, 1:-1]), rtol=0, atol=1e-4)

    def test_mixes_to_mono(self, encoder):
        stereo = tone_and_noise(20_000, 22_050, channels=2)
        torch.testing.assert_close(encoder.encode(stereo).values, encoder.encode(stereo.mono()).values)

    @pytest.mark.parametrize("sample_rate", [22_050, 44_100])
    def test_it_hears_at_its_own_rate(self, encoder, sample_rate):
        """Whatever the rate of what it is given, it is brought to that of the network first."""
        waveform = tone_and_noise(sample_rate, sample_rate)
        expected = encoder.encode(resample(waveform, encoder.sample_rate)).values
        torch.testing.assert_close(encoder.encode(waveform).values, expected)

    def test_deterministic(self, encoder):
        waveform = tone_and_noise(30_000, 44_100)
        assert torch.equal(encoder.encode(waveform).values, encoder.encode(waveform).values)

    def test_a_burst_is_where_it_sounds(self, encoder):
        moment, sample_rate = 1.28, 16_000
        samples = 1e-4 * np.random.default_rng(0).standard_normal(3 * sample_rate)
        quiet = encoder.encode(Waveform(samples[None].astype(np.float32), sample_rate))
        first = round(moment * sample_rate)
        samples[first - 80 : first + 80] += 0.5 * np.random.default_rng(1).standard_normal(160)
        frames = encoder.encode(Waveform(samples[None].astype(np.float32), sample_rate))
        change = (frames.values - quiet.values).square().sum(2)[0].double()
        centre = float((change * frames.times()).sum() / change.sum())
        assert abs(centre - moment) <= self.clock_frames / float(encoder.frame_rate)

    def test_stored_form_comes_back(self, encoder):
        values = encoder.encode(tone_and_noise(30_000, 44_100)).values
        stored = encoder.to_stored(values)
        back = encoder.from_stored(stored)
        assert back.dtype == torch.float32
        assert np.array_equal(encoder.to_stored(back), stored)
        torch.testing.assert_close(back, values, rtol=2e-3, atol=2e-3)
