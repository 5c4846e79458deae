"""What the network would hardly change stays as it was, bit for bit; what it changes is kept."""

import copy

import numpy as np
import pytest
import torch

from audiobuff_core.codecs.registry import load_codec
from audiobuff_core.inference.confidence import ConfidenceMap, bands_of
from audiobuff_core.inference.guards import leave_intact, without_doubtful, without_trifles

RATE = 16_000


def noise(seconds=2.0, channels=2, rate=RATE, seed=1):
    return 0.1 * np.random.default_rng(seed).standard_normal((channels, round(seconds * rate))).astype(np.float32)


@pytest.fixture
def timid(restorer):
    """The network with a head whose correction has a size that the test chooses."""
    made = copy.deepcopy(restorer)

    def with_size(size):
        bias = made.model.vfn.head.fields.bias
        bias.data[:] = size * torch.randn(bias.shape, generator=torch.Generator().manual_seed(3))
        return made

    return with_size


def test_small_changes_are_taken_back_to_the_bit_and_large_ones_kept():
    was = noise()
    wet = was + 0.003 * noise(seed=2)  # -50 dB
    wet[0, 10_000:11_000] += 0.01
    before = wet.copy()
    leave_intact(wet, was, RATE)
    assert np.array_equal(wet[1], was[1])
    assert np.array_equal(wet[0, 10_400:11_000], before[0, 10_400:11_000])
    apart = np.r_[0 : 10_000 - 1_600, 11_000 + 1_600 : 32_000]
    assert np.array_equal(wet[0, apart], was[0, apart])
    assert np.abs(np.diff(wet[0] - was[0])).max() < 0.011  # only the step that was there


def test_what_is_below_the_rounding_of_16_bits_is_left_too():
    was = np.zeros((1, RATE), np.float32)
    wet = was + np.float32(1e-6)
    leave_intact(wet, was, RATE)
    assert not wet.any()


@pytest.mark.parametrize("samples", [1, 799, 800, 801])
def test_short_recordings_have_frames_too(samples):
    was = noise()[:, :samples]
    wet = was * np.float32(1.001)
    leave_intact(wet, was, RATE)
    assert np.array_equal(wet, was)
    wet = was * np.float32(1.5)
    leave_intact(wet, was, RATE)
    assert np.allclose(wet, was * 1.5)


def test_a_band_loses_its_trifles_and_no_other_band():
    bands = bands_of(load_codec("builtin")).slices
    damaged = torch.randn(2, 30, 512, generator=torch.Generator().manual_seed(1))
    correction = 0.003 * damaged
    correction[:, :, bands[4]] = 0.1 * damaged[:, :, bands[4]]
    kept = without_trifles(correction, damaged, bands)
    assert torch.equal(kept[..., bands[4]], correction[..., bands[4]])
    assert not kept[..., : bands[4].start].any()
    assert not kept[..., bands[4].stop :].any()


def test_what_the_network_doubts_is_not_done():
    bands = bands_of(load_codec("builtin")).slices
    correction = torch.ones(2, 200, 512)
    doubt = torch.full_like(correction, 10.0)
    doubt[:, :100, bands[3]] = 0.03
    kept = without_doubtful(correction, doubt, bands, 20)
    assert torch.equal(kept[:, :85, bands[3]], correction[:, :85, bands[3]])
    assert not kept[:, 115:, bands[3]].any()
    assert not kept[..., bands[3].stop :].any()


def test_what_is_as_steady_as_noise_needs_less_certainty():
    """In one channel a hiss is taken away, in the other gusts; about both the network has the same doubt."""
    bands = (slice(0, 40), slice(40, 80))
    correction = torch.randn(2, 900, 80, generator=torch.Generator().manual_seed(5))
    gusts = (torch.arange(900) // 90 % 2).float() + 0.3
    correction[1, :, :40] *= gusts[:, None] / gusts.square().mean().sqrt()
    doubt = torch.full_like(correction, 0.16)  # 16 dB less
    kept = without_doubtful(correction, doubt, bands, 86)
    share = kept.square().mean(dim=1) / correction.square().mean(dim=1)
    assert (share[0] > 0.7).all()
    assert (share[1, 40:] > 0.7).all()
    assert (share[1, :40] < 0.05).all()


def test_steadiness_is_judged_by_seconds_around():
    correction = torch.randn(1, 4000, 40, generator=torch.Generator().manual_seed(5))
    gusts = (torch.arange(2000) // 90 % 2).float() + 0.3
    correction[0, 2000:] *= gusts[:, None] / gusts.square().mean().sqrt()
    kept = without_doubtful(correction, torch.full_like(correction, 0.16), (slice(0, 40),), 86)
    share = kept[0].square().mean(dim=1) / correction[0].square().mean(dim=1)
    assert share[:1400].min() > 0.7
    assert share[2600:].max() < 0.3


def test_any_number_of_frames_can_be_judged_together():
    bands = (slice(0, 4),)
    for frames in (1, 2, 7, 300):
        correction = torch.ones(1, frames, 4)
        assert torch.equal(without_doubtful(correction, 0.03 * correction, bands, 86), correction)


@pytest.mark.parametrize("rate", [16_000, 44_100, 96_000])
def test_a_network_that_hardly_changes_anything_changes_nothing(timid, rate):
    samples = noise(1.0, 2, rate)
    restored = timid(0.0005).restore(samples, rate)
    assert np.array_equal(restored, samples)
    changed = timid(0.03).restore(samples, rate) - samples
    assert 1e-4 < np.square(changed).mean() / np.square(samples).mean() < 1


def test_what_lies_above_the_band_of_the_codec_is_kept(timid):
    rate = 96_000
    time = np.arange(rate) / rate
    high = (0.05 * np.sin(2 * np.pi * 30_000 * time)).astype(np.float32)
    restored = timid(0.03).restore(noise(1.0, 1, rate)[0] * 0.1 + high, rate)
    spectrum = np.abs(np.fft.rfft(restored)) * 2 / rate
    assert spectrum[30_000] == pytest.approx(0.05, rel=0.01)


def test_bands_follow_the_codec():
    bands = bands_of(load_codec("builtin"))
    assert bands.slices[0].start == 0
    assert bands.slices[-1].stop == 512
    assert all(one.stop == other.start for one, other in zip(bands.slices, bands.slices[1:], strict=False))
    assert bands.edges_hz[-1] == 22_050

    class Blind:
        sample_rate, latent_dim = 16_000, 72

        def dims_below(self, hz):
            return None

    assert bands_of(Blind()).slices == (slice(0, 72),)


def test_the_map_says_where_and_how_sure(timid):
    samples = noise(1.0, 1, 44_100)
    told = ConfidenceMap()
    timid(0.03).restore(samples, 44_100, confidence=told)
    found = told.as_dict()
    assert found["edges_hz"][0] == 0.0
    assert len(found["confidence"]) == len(found["change_db"]) == 10
    values = np.array(found["confidence"], float)
    assert values.shape[1] == len(found["edges_hz"]) - 1
    assert np.nanmin(values) >= 0
    assert np.nanmax(values) <= 1
    assert told.between(0.2, 0.5) is not None


def test_doubt_lowers_confidence_and_silence_has_none():
    told, bands = ConfidenceMap(), bands_of(load_codec("builtin"))
    seconds, part = torch.arange(20) / 20, torch.ones(1, 20, 512)
    told.add(bands, seconds, (0.0, 0.5), part, part / 3, part)
    told.add(bands, seconds, (0.5, 1.0), 0 * part, part, part)
    assert told.between(0.0, 0.5) == pytest.approx(0.9)
    assert told.between(0.6, 0.9) is None
    assert told.as_dict()["change_db"][0][0] == 0
    assert told.as_dict()["confidence"][-1][0] is None


def test_a_long_map_is_told_in_few_columns():
    told, bands = ConfidenceMap(), bands_of(load_codec("builtin"))
    part = torch.ones(1, 1000, 512)
    told.add(bands, torch.arange(1000, dtype=torch.float64), (0.0, 1000.0), part, part, part)
    found = told.as_dict(2.0)
    assert len(found["confidence"]) <= 600
    assert found["column_seconds"] * len(found["confidence"]) >= 999
    assert (found["start_seconds"], found["confidence"][0][0]) == (2.0, 0.5)


def test_a_codec_that_loses_something_is_not_used_where_nothing_is_wrong(timid, monkeypatch):
    """As DAC does: what it gives back is never the input."""
    made = timid(0.0001)
    monkeypatch.setattr(type(made.codec), "decode", lambda self, frames, num_samples: pytest.fail("it was decoded"))
    samples = noise(0.5, 1, 44_100)
    assert np.array_equal(made.restore(samples, 44_100), samples)
