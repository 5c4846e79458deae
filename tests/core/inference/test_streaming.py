"""Long recordings: sections join without a seam, noise has its place, arrays come back as they were given."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch

import audiobuff_core
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidAudio, InvalidConfig
from audiobuff_core.inference import sections
from audiobuff_core.inference.sections import joined, noise_at, plan_sections


@pytest.fixture
def changing(restorer):
    """The network with a head that halves what it hears, so that restoring does something."""
    bias = restorer.model.vfn.head.fields.bias
    before = bias.detach().clone()
    generator = torch.Generator().manual_seed(3)
    bias.data += 0.2 * torch.randn(bias.shape, generator=generator)
    yield restorer
    bias.data = before


def music(seconds, rate=44_100, channels=1):
    return 0.1 * np.random.default_rng(2).standard_normal((channels, round(seconds * rate))).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_sections_begin_with_a_frame_and_overlap(restorer, rate):
    plan = plan_sections(600 * rate + 17, rate, restorer.codec)
    assert (plan[0].keep_first, plan[-1].keep_last, len(plan)) == (0, 600 * rate + 17, len(plan))
    assert len(plan) >= 3
    for section in plan:
        assert section.first * 44_100 == section.first_frame * 512 * rate
        assert section.first <= section.keep_first < section.keep_last <= section.last
    for before, after in itertools.pairwise(plan):
        assert before.keep_last - after.keep_first == 2 * int(sections.JOIN_SECONDS * rate / 2)
        assert before.last - before.keep_last > 9 * rate


def test_the_more_channels_the_shorter_the_sections(restorer):
    lengths = {}
    for channels in (1, 2, 4, 8):
        plan = plan_sections(600 * 44_100, 44_100, restorer.codec, channels)
        lengths[channels] = max(one.last - one.first for one in plan) * channels / 44_100
    assert 100 < lengths[1] < 115
    assert 150 < lengths[2] < 165
    assert lengths[4] < 205 > lengths[8] / 2


def test_joining_gives_back_what_was_cut(restorer):
    rate, samples = 8_000, music(60, 8_000, 2)
    plan = plan_sections(samples.shape[1], rate, restorer.codec, section_seconds=15)
    pieces = ((one, samples[:, one.keep_first : one.keep_last].copy()) for one in plan)
    assert np.allclose(np.concatenate(list(joined(pieces, rate)), axis=1), samples, atol=1e-7)


def test_noise_depends_on_its_place_alone():
    whole = noise_at(0, 5_000, 3, seed=4)
    assert torch.equal(noise_at(1_500, 2_000, 3, seed=4), whole[1_500:3_500])
    assert not torch.equal(noise_at(0, 10, 3, seed=5), whole[:10])
    assert abs(float(whole.std()) - 1) < 0.02


def test_sections_agree_with_the_whole(changing, monkeypatch):
    samples = music(9)
    whole = changing.restore(samples, 44_100, tau=0.2, steps=2)
    monkeypatch.setattr(sections, "CONTEXT_SECONDS", 1.5)
    pieces = plan_sections(samples.shape[1], 44_100, changing.codec, section_seconds=3)
    assert len(pieces) == 3
    monkeypatch.setattr("audiobuff_core.inference.restorer.plan_sections", lambda *_: pieces)
    apart = changing.restore(samples, 44_100, tau=0.2, steps=2)
    assert np.abs(whole - samples).max() > 0.01
    error = np.square(whole - apart).reshape(1, -1, 441).mean(axis=2)
    assert error.max() < 1e-4 * np.square(whole).mean()  # at the joins as elsewhere


def test_arrays_come_back_as_they_were(changing):
    samples = music(0.4, 16_000, 2)
    as_given = changing.restore(samples, 16_000)
    assert (as_given.dtype, as_given.shape) == (np.float32, samples.shape)
    mono = changing.restore(samples[0].astype(np.float64), 16_000)
    assert (mono.dtype, mono.shape) == (np.float64, samples[0].shape)
    tensor = changing.restore(torch.from_numpy(samples), 16_000)
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(tensor.numpy(), as_given)
    waveform = changing.restore(Waveform(samples, 16_000))
    assert np.array_equal(waveform.samples, as_given)
    streamed = list(changing.stream(lambda first, last: samples[:, first:last], samples.shape[1], 16_000))
    assert np.array_equal(np.concatenate(streamed, axis=1), as_given)


def test_strength_goes_from_the_input_to_the_restored(changing):
    samples = music(0.4)
    full, half, none = (changing.restore(samples, 44_100, strength=share) for share in (1.0, 0.5, 0.0))
    distances = [float(np.square(one - samples).mean()) for one in (none, half, full)]
    assert distances[0] < 1e-9 < distances[1] < distances[2]


def test_progress_goes_from_nothing_to_all(changing):
    told = []
    changing.restore(music(0.3), 44_100, steps=4, on_progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) >= 4


@pytest.mark.parametrize(
    ("audio", "rate", "reason"),
    [
        (np.zeros((2, 3, 4), np.float32), 8_000, "shape"), (np.zeros(0, np.float32), 8_000, "at least one"),
        (np.zeros(100, np.int16), 8_000, "floating point"), (np.zeros((100, 2), np.float32), 8_000, "transpose"),
        (np.zeros(100, np.float32), None, "sample rate"), (np.full(100, np.nan, np.float32), 8_000, "NaN"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_audio_are_refused(restorer, audio, rate, reason):
    with pytest.raises(InvalidAudio, match=reason):
        restorer.restore(audio, rate)


def test_strength_out_of_range_is_refused(restorer):
    with pytest.raises(InvalidConfig, match="strength 2"):
        restorer.restore(music(0.2), 44_100, strength=2.0)


def test_importing_the_core_loads_no_torch():
    code = "import sys, audiobuff_core; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "Restorer" in audiobuff_core.__all__
    with pytest.raises(AttributeError, match="no attribute 'Repairer'"):
        _ = audiobuff_core.Repairer
