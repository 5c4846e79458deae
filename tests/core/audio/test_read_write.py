"""Audio goes to disk and comes back; what is no audio is refused in one line."""

import io

import numpy as np
import pytest
import soundfile

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.errors import AudioNotFound, InvalidAudio


def make_noise(channels=1, num_samples=4410, sample_rate=44_100, peak=0.5, seed=0):
    samples = np.random.default_rng(seed).uniform(-peak, peak, (channels, num_samples))
    return Waveform(samples.astype(np.float32), sample_rate)


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("num_samples", [1, 1000])
def test_float_wav_is_exact_even_beyond_full_scale(tmp_path, sample_rate, channels, num_samples):
    waveform = make_noise(channels, num_samples, sample_rate, peak=3.0)
    write_audio(tmp_path / "a.wav", waveform)
    back = read_audio(tmp_path / "a.wav")
    assert back.sample_rate == sample_rate
    np.testing.assert_array_equal(back.samples, waveform.samples)


def test_flac_is_exact_to_24_bits(tmp_path):
    waveform = make_noise(channels=2)
    write_audio(tmp_path / "a.flac", waveform)
    assert soundfile.info(tmp_path / "a.flac").subtype == "PCM_24"
    assert np.abs(read_audio(tmp_path / "a.flac").samples - waveform.samples).max() <= 2.0**-23


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_the_same_audio_gives_the_same_bytes_at_another_time(tmp_path, name, monkeypatch):
    write_audio(tmp_path / name, make_noise())
    first = (tmp_path / name).read_bytes()
    monkeypatch.setattr("time.time", lambda: 1e9)
    write_audio(tmp_path / name, make_noise())
    assert (tmp_path / name).read_bytes() == first
    assert b"PEAK" not in first[:200]  # libsndfile's chunk with the time of writing


def test_formats_that_only_ffmpeg_reads(tmp_path):
    av = pytest.importorskip("av")
    waveform = make_noise(channels=2, num_samples=44_100, peak=0.2)
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(waveform.samples, format="fltp", layout="stereo")
        frame.sample_rate = 44_100
        for piece in (frame, None):
            container.mux(stream.encode(piece))
    back = read_audio(tmp_path / "a.m4a")
    assert (back.channels, back.sample_rate) == (2, 44_100)
    assert abs(back.num_samples - 44_100) <= 2048


def test_urls_are_read_and_written():
    write_audio("memory://audio-test/a.flac", make_noise())
    assert read_audio("memory://audio-test/a.flac").num_samples == 4410


def test_nothing_there_is_not_found(tmp_path):
    with pytest.raises(AudioNotFound, match="no such file"):
        read_audio(tmp_path / "absent.wav")
    with pytest.raises(FileNotFoundError):
        read_audio("memory://audio-test/absent.wav")


def nan_wav():
    buffer = io.BytesIO()
    soundfile.write(buffer, np.array([0.1, np.nan, 0.2]), 8000, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def wav_without_samples():
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((0, 1)), 8000, format="WAV")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"These are the lyrics, not the song.\n" * 9, "not audio"),
        (wav_without_samples(), "no samples"),
        (nan_wav(), "1 NaN or infinite"),
        (b"RIFF\x00\x00", "not audio"),
    ],
    # without names the bytes are the names, and libsndfile writes the second of writing into a float WAV
    ids=["empty file", "text", "no samples", "NaN", "bare header"],
)
def test_what_is_no_audio_is_refused_in_one_line(tmp_path, data, reason):
    (tmp_path / "odd.wav").write_bytes(data)
    with pytest.raises(InvalidAudio, match=reason) as raised:
        read_audio(tmp_path / "odd.wav")
    assert "\n" not in str(raised.value)
    assert "odd.wav" in str(raised.value)


def test_a_folder_is_no_audio(tmp_path):
    with pytest.raises(InvalidAudio, match="is a folder"):
        read_audio(tmp_path)


def test_a_video_without_sound_has_no_audio_stream(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "silent.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        stream.width = stream.height = 16
        for piece in (av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24"), None):
            container.mux(stream.encode(piece))
    with pytest.raises(InvalidAudio, match="no audio stream"):
        read_audio(tmp_path / "silent.mkv")


def test_integers_beyond_full_scale_are_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(InvalidAudio, match="exceeds full scale"):
        write_audio(tmp_path / "loud.flac", make_noise(peak=1.5))
    assert list(tmp_path.iterdir()) == []


def test_unknown_formats_and_impossible_ones_are_refused(tmp_path):
    with pytest.raises(InvalidAudio, match="unknown audio format"):
        write_audio(tmp_path / "a.xyz", make_noise())
    with pytest.raises(InvalidAudio, match="can't hold 9 channels"):
        write_audio(tmp_path / "a.flac", make_noise(channels=9))
    assert list(tmp_path.iterdir()) == []
