import math

import numpy as np
import pytest
import torch
from contracts.codec import CodecContract, tone_and_noise
from hypothesis import given, settings
from hypothesis import strategies as st

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.codecs.builtin import MdctCodec, compand, expand
from audiobuff_core.codecs.mdct import inverse_mdct, mdct, num_mdct_frames
from audiobuff_core.errors import InvalidAudio


class TestMdctCodec(CodecContract):
    max_error = 1e-4
    max_stored_error_db = -60.0

    @pytest.fixture
    def codec(self):
        return MdctCodec()

    def test_frames_are_one_more_than_hops(self, codec):
        for num_samples, num_frames in ((1, 2), (512, 2), (513, 3), (44_100, 88)):
            frames = codec.encode(Waveform(np.full((1, num_samples), 0.1, np.float32), 44_100))
            assert frames.num_frames == num_frames
            assert frames.start == 0

    def test_a_click_is_in_the_frames_around_it(self, codec):
        samples = np.zeros((1, 20 * 512), np.float32)
        samples[0, 10 * 512] = 1.0
        energy = codec.encode(Waveform(samples, 44_100)).values.square().sum((0, 2))
        assert set(torch.nonzero(energy > 1e-3).flatten().tolist()) <= {9, 10, 11}
        assert int(energy.argmax()) == 10

    def test_a_slice_decodes_to_its_own_stretch(self, codec):
        waveform = tone_and_noise(40 * 512, 44_100)
        frames = codec.encode(waveform)
        part = frames.slice_seconds(frames.start + 10 / frames.rate, frames.start + 31 / frames.rate)
        assert part.num_frames == 21
        decoded = codec.decode(part, 20 * 512).samples
        truth = waveform.samples[:, 10 * 512 : 30 * 512]
        # The first and last hop lack the neighbour that cancels their aliasing; the last frame closes the last hop.
        assert np.abs(decoded - truth)[:, 512:].max() < 1e-5

    def test_wrong_width_and_nan_are_refused(self, codec):
        frames = codec.encode(tone_and_noise(4000, 44_100))
        narrow = type(frames)(frames.values[..., :100], frames.rate)
        with pytest.raises(InvalidAudio, match="width 100"):
            codec.decode(narrow, 1000)
        broken = type(frames)(frames.values * float("nan"), frames.rate)
        with pytest.raises(InvalidAudio, match="NaN"):
            codec.decode(broken, 1000)

    def test_float16_round_trip_is_far_below_the_signal(self, codec):
        waveform = tone_and_noise(44_100, 44_100)
        frames = codec.encode(waveform)
        restored = codec.from_stored(codec.to_stored(frames.values))
        decoded = codec.decode(type(frames)(restored, frames.rate), waveform.num_samples).samples
        error_db = 10 * math.log10(np.square(decoded - waveform.samples).sum() / np.square(waveform.samples).sum())
        assert error_db < -60


@settings(max_examples=25, deadline=None)
@given(num_samples=st.integers(1, 3000), hop_length=st.sampled_from([2, 16, 128, 512]), seed=st.integers(0, 9))
def test_mdct_is_orthonormal_and_invertible(num_samples, hop_length, seed):
    samples = torch.randn(2, num_samples, generator=torch.Generator().manual_seed(seed))
    coefficients = mdct(samples, hop_length)
    assert coefficients.shape == (2, num_mdct_frames(num_samples, hop_length), hop_length)
    torch.testing.assert_close(inverse_mdct(coefficients, num_samples), samples, rtol=0, atol=1e-5)
    torch.testing.assert_close(coefficients.square().sum(), samples.square().sum(), rtol=1e-4, atol=1e-4)


def test_mdct_matches_its_definition():
    hop, num_samples = 64, 300
    samples = torch.randn(1, num_samples, generator=torch.Generator().manual_seed(1))
    moments, orders = torch.arange(2 * hop, dtype=torch.float64), torch.arange(hop, dtype=torch.float64)
    window = torch.sin(torch.pi * (moments + 0.5) / (2 * hop))
    basis = math.sqrt(2 / hop) * torch.cos(torch.pi / hop * (moments[:, None] + 0.5 + hop / 2) * (orders + 0.5))
    num_frames = num_mdct_frames(num_samples, hop)
    padded = torch.nn.functional.pad(samples.double(), (hop, num_frames * hop - num_samples))
    expected = (padded.unfold(1, 2 * hop, hop) * window) @ basis
    torch.testing.assert_close(mdct(samples, hop).double(), expected, rtol=0, atol=1e-5)


def test_mdct_has_gradients_that_are_its_own_inverse():
    samples = torch.randn(1000, dtype=torch.float32, requires_grad=True)
    (mdct(samples, 128).square().sum() / 2).backward()
    assert samples.grad is not None
    torch.testing.assert_close(samples.grad, samples.detach(), rtol=0, atol=1e-5)


@given(value=st.floats(-1000, 1000))
def test_companding_is_odd_monotone_and_invertible(value):
    coefficient = torch.tensor(value, dtype=torch.float64)
    torch.testing.assert_close(expand(compand(coefficient)), coefficient, rtol=1e-9, atol=1e-12)
    assert compand(-coefficient) == -compand(coefficient)
    assert compand(coefficient + 1) > compand(coefficient)


def test_expand_has_a_gradient_at_zero():
    latents = torch.zeros(3, requires_grad=True)
    expand(latents).sum().backward()
    assert latents.grad is not None
    assert latents.grad.isfinite().all()
