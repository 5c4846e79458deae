"""What is not repaired stays as it was: level, image, silence, time; and nothing tells where a window ended."""

import copy
import json

import numpy as np
import pytest
import soundfile
import torch

from audiobuff_core.audio.recording import read_recording
from audiobuff_core.commands.chosen_model import chosen_model
from audiobuff_core.inference.restore_file import restore_file
from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.inference.settings import RestoreSettings
from audiobuff_core.inference.windows import plan_windows

RATE = 44_100
FRAME = 512


@pytest.fixture(scope="module")
def attentive(restorer):
    """A network whose every part is at work: what it says of a moment depends on what is around it."""
    made = copy.deepcopy(restorer)
    generator = torch.Generator().manual_seed(5)
    for name, parameter in made.model.named_parameters():
        if not parameter.any() and name != "vfn.head.fields.bias":  # which would change all moments alike
            size = 0.004 if name.startswith("vfn.head") else 0.05
            parameter.data = size * torch.randn(parameter.shape, generator=generator)
    return made


@pytest.fixture(scope="module")
def timid(restorer):
    """A network that changes everything a little, at about -50 dB, as good ones do with what is intact."""
    made = copy.deepcopy(restorer)
    bias = made.model.vfn.head.fields.bias
    bias.data[:] = 0.0005 * torch.randn(bias.shape, generator=torch.Generator().manual_seed(3))
    return made


def noise(seconds, channels=1, seed=1):
    return 0.1 * np.random.default_rng(seed).standard_normal((channels, round(seconds * RATE))).astype(np.float32)


def music(seconds=3.0):
    """A stereo image: a voice to the left, one to the right a little later, and a little noise of their own."""
    time = np.arange(round(seconds * RATE)) / RATE
    tones = [sum(np.sin(2 * np.pi * base * k * time) / k for k in range(1, 9)) for base in (220.0, 277.0)]
    late = np.roll(tones[1], 20)
    left, right = 0.1 * tones[0] + 0.03 * late, 0.04 * tones[0] + 0.1 * tones[1]
    return (np.stack([left, right]) + 0.01 * noise(seconds, 2, 7)).astype(np.float32)


def decibels(part, whole):
    return 10 * np.log10(np.square(part).mean() / np.square(whole).mean())


@pytest.fixture(params=[("attentive", 64), ("builtin", 256)], ids=lambda pair: pair[0])
def windowed(request, attentive):
    """A network, and the length of window at which it is tried; the one in the box at its own."""
    name, window = request.param
    return (attentive if name == "attentive" else Restorer.load(chosen_model(None, lambda: None))), window


def tone_in_noise(seconds):
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * noise(seconds) + 0.05 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)


def test_windows_of_one_length_and_of_twice_that_agree(windowed):
    restorer, window = windowed
    samples = tone_in_noise(window / 20)
    short, long = (
        restorer.restore(samples, RATE, window_frames=one, overlap_frames=one // 8) for one in (window, 2 * window)
    )
    correction = short - samples
    assert decibels(correction, samples) > -35  # else there is nothing to compare
    inner = slice(20 * FRAME, -20 * FRAME)
    assert decibels((short - long)[:, inner], correction[:, inner]) < -20


def test_energy_and_flux_at_the_borders_of_windows_are_those_of_elsewhere(windowed):
    restorer, window = windowed[0], windowed[1] // 2
    overlap, samples = window // 8, tone_in_noise(20.0)
    restored = restorer.restore(samples, RATE, window_frames=window, overlap_frames=overlap)
    change = (restored - samples)[0]
    frames = change[: len(change) // FRAME * FRAME].reshape(-1, FRAME)
    energy_db = 10 * np.log10(np.square(frames).mean(axis=1))
    spectra = np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1))
    flux = np.abs(np.diff(spectra, axis=0)).sum(axis=1)
    windows = plan_windows(len(frames) + 1, window, overlap)
    edges = [edge for one in windows for edge in (one.first, one.last) if 0 < edge < len(frames) - 1]
    near = np.unique(np.concatenate([np.array(edges) + offset for offset in (-1, 0)]))
    away = np.setdiff1d(np.arange(2, len(frames) - 2), near)
    for measure in (energy_db, flux):
        inside, elsewhere = measure[near[near < len(measure)]], measure[away]
        spread = elsewhere.std() * np.sqrt(1 / len(inside) + 1 / len(elsewhere))
        assert len(inside) > 30
        assert abs(inside.mean() - elsewhere.mean()) < 4 * spread
        assert inside.max() <= elsewhere.max() + elsewhere.std()


@pytest.mark.parametrize(("preset", "shared"), [("fast", 4), ("balanced", 8), ("best", 16)])
def test_a_preset_says_how_much_is_heard_twice(attentive, tmp_path, monkeypatch, preset, shared):
    asked, real = {}, attentive.stream
    monkeypatch.setattr(attentive, "stream", lambda *args, **options: asked.update(options) or real(*args, **options))
    soundfile.write(tmp_path / "in.wav", music(0.5).T, RATE)
    settings = RestoreSettings(preset=preset, steps=1)
    restore_file(tmp_path / "in.wav", tmp_path / "out.wav", attentive, settings, window_frames=32)
    assert asked["overlap_frames"] == shared


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_undamaged_stereo_comes_back_to_the_bit(timid, tmp_path, suffix):
    soundfile.write(tmp_path / f"in.{suffix}", music().T, RATE, subtype="PCM_24")
    report = restore_file(tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}", timid)
    assert report["copied"]
    assert report["repairs"] == []
    assert (tmp_path / f"out.{suffix}").read_bytes() == (tmp_path / f"in.{suffix}").read_bytes()


@pytest.mark.parametrize("settings", [{"only_seconds": (1.0, 3.0)}, {"channels": (2,)}])
def test_peaks_are_held_only_where_something_may_change(attentive, tmp_path, settings):
    """A network that is too loud, so that there is much to hold down right at the edges."""
    loud = 0.9 * music(3.0) / np.abs(music(3.0)).max()
    soundfile.write(tmp_path / "in.wav", loud.T, RATE, subtype="PCM_16")
    report = restore_file(tmp_path / "in.wav", tmp_path / "out.wav", attentive, RestoreSettings(**settings))
    before, after = (read_recording(tmp_path / name).stored for name in ("in.wav", "out.wav"))
    assert report["limited_seconds"]
    kept = before[:, :RATE] if "only_seconds" in settings else before[:1]
    assert np.array_equal(kept, after[:, :RATE] if "only_seconds" in settings else after[:1])
    assert not np.array_equal(before, after)


def test_a_pair_is_changed_as_a_pair(attentive):
    """One sound in both channels: what is done to them is the same, what is invented too, so it stays in the middle."""
    voice = music()[0]
    restored = attentive.restore(np.stack([voice, voice]), RATE, tau=0.3)
    assert np.abs(restored[0] - restored[1]).max() < 1e-6


@pytest.mark.parametrize(("suffix", "subtype"), [("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III"), ("flac", "PCM_16")])
def test_what_goes_in_comes_out_in_its_format(attentive, tmp_path, suffix, subtype):
    soundfile.write(tmp_path / f"in.{suffix}", music(1.0).T, RATE, subtype=subtype)
    report = restore_file(tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}", attentive)
    told = [soundfile.info(tmp_path / f"{name}.{suffix}") for name in ("in", "out")]
    assert len({(one.samplerate, one.channels, one.format, one.subtype) for one in told}) == 1
    assert abs(told[0].frames - told[1].frames) <= 0.06 * RATE
    assert json.loads((tmp_path / f"out.{suffix}.json").read_text())["num_samples"] == report["num_samples"]


def test_m4a_goes_in_and_comes_out(attentive, tmp_path):
    import av

    with av.open(str(tmp_path / "in.m4a"), "w") as made:
        stream = made.add_stream("aac", rate=RATE, layout="stereo")
        made.metadata["title"] = "Old tape"
        frame = av.AudioFrame.from_ndarray(music(1.0), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            made.mux(packet)
    report = restore_file(tmp_path / "in.m4a", tmp_path / "out.m4a", attentive)
    with av.open(str(tmp_path / "out.m4a")) as found:
        assert found.metadata["title"] == "Old tape"
        assert found.streams.audio[0].codec_context.name == "aac"
        assert found.streams.audio[0].codec_context.sample_rate == RATE
    again = read_recording(tmp_path / "out.m4a")
    assert (again.channels, report["channels"]) == (2, 2)
    assert abs(again.num_samples - report["num_samples"]) <= 1024
