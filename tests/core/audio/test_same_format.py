"""Files come back as they were: samples, coding, length, tags, cover art."""

import base64
import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.recording import read_recording
from audiobuff_core.audio.same_format import write_in_format_of, write_like
from audiobuff_core.audio.tags import _flac_blocks
from audiobuff_core.errors import InvalidAudio

RATE = 22_050


def music(channels=2, num_samples=RATE // 2, seed=1):
    return np.clip(0.3 * np.random.default_rng(seed).standard_normal((num_samples, channels)), -1, 1)


EXACT = [
    (".wav", "WAV", "PCM_U8"), (".wav", "WAV", "PCM_16"), (".wav", "WAVEX", "PCM_24"), (".wav", "WAV", "PCM_32"),
    (".wav", "WAV", "FLOAT"), (".wav", "WAV", "DOUBLE"), (".flac", "FLAC", "PCM_S8"), (".flac", "FLAC", "PCM_16"),
    (".flac", "FLAC", "PCM_24"), (".aiff", "AIFF", "PCM_24"), (".w64", "W64", "PCM_16"), (".caf", "CAF", "PCM_16"),
]  # fmt: skip


@pytest.mark.parametrize(("suffix", "container", "subtype"), EXACT)
def test_exact_codings_come_back_to_the_bit(tmp_path, suffix, container, subtype):
    source, made = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    soundfile.write(source, music(3), RATE, format=container, subtype=subtype)
    recording = read_recording(source)
    assert recording.is_exact
    write_like(recording, made, recording.stored)
    again = read_recording(made)
    assert (again.format, again.subtype, again.sample_rate) == (container, subtype, RATE)
    assert np.array_equal(again.stored, recording.stored)
    if recording.bits in (8, 16, 24):  # through float32 and back, too
        assert np.array_equal(recording.to_stored(recording.floats()), recording.stored)
    assert np.abs(recording.floats().T - soundfile.read(source)[0]).max() < 1e-7


def test_extremes_are_held_not_wrapped(tmp_path):
    soundfile.write(tmp_path / "in.wav", np.array([-1.0, 1.0]), RATE, subtype="PCM_16")
    recording = read_recording(tmp_path / "in.wav")
    made = recording.to_stored(np.array([[-1.5, -1.0, 0.0, 1.0, 1.5]], np.float32))
    assert made.tolist() == [[-32768, -32768, 0, 32767, 32767]]


@pytest.mark.parametrize(
    ("suffix", "container", "subtype"),
    [(".ogg", "OGG", "VORBIS"), (".mp3", "MP3", "MPEG_LAYER_III"), (".opus", "OGG", "OPUS")],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_codings_keep_length_and_about_their_size(tmp_path, suffix, container, subtype, channels):
    source, made = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    rate = 48_000 if subtype == "OPUS" else 44_100
    soundfile.write(source, music(channels, 2 * rate), rate, format=container, subtype=subtype)
    recording = read_recording(source)
    write_like(recording, made, recording.stored)
    again = read_recording(made)
    assert (again.num_samples, again.channels, again.subtype) == (recording.num_samples, channels, subtype)
    assert made.stat().st_size == pytest.approx(source.stat().st_size, rel=0.3)


def cover():
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), (200, 30, 60)).save(buffer, format="PNG")
    return buffer.getvalue()


def box(name, content):
    return (8 + len(content)).to_bytes(4, "big") + name + content


def m4a(path, channels=2):
    """AAC with a title and a cover, in the boxes that iTunes writes."""
    layout = {1: "mono", 2: "stereo", 7: "6.1", 8: "7.1"}[channels]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=RATE, layout=layout)
        stream.bit_rate = 48_000 * channels
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(music(channels, RATE).astype(np.float32)).reshape(1, -1), format="flt", layout=layout
        )
        frame.sample_rate, frame.pts = RATE, 0
        for piece in (frame, None):
            file.mux(stream.encode(piece))
    data = path.read_bytes()
    moov = data.rindex(b"moov") - 4
    content = data[moov + 8 : data.index(b"udta", moov) - 4]
    title = box(b"\xa9nam", box(b"data", b"\0\0\0\1\0\0\0\0" + "Träume".encode()))
    picture = box(b"covr", box(b"data", b"\0\0\0\x0e\0\0\0\0" + cover()))
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    tags = box(b"udta", box(b"meta", bytes(4) + handler + box(b"ilst", title + picture)))
    path.write_bytes(data[:moov] + box(b"moov", content + tags))


@pytest.mark.parametrize("channels", [1, 2, 7, 8])
def test_aac_keeps_length_tags_and_cover(tmp_path, channels):
    m4a(tmp_path / "in.m4a", channels)
    recording = read_recording(tmp_path / "in.m4a")
    assert recording.num_samples == RATE
    write_like(recording, tmp_path / "out.m4a", recording.stored)
    assert read_recording(tmp_path / "out.m4a").stored.shape == (channels, RATE)
    with av.open(str(tmp_path / "out.m4a")) as file:
        assert file.metadata["title"] == "Träume"
        assert bytes(next(file.demux(video=0))) == cover()
        assert file.streams.audio[0].codec_context.name == "aac"


def tagged_flac(path):
    soundfile.write(path, music(), RATE, format="FLAC", subtype="PCM_16")
    with path.open("rb") as file:
        (streaminfo, *_), audio = _flac_blocks(file)
    comment = b"\x04\0\0\0ours" + b"\x01\0\0\0" + b"\x0b\0\0\0TITLE=M\xc3\xbcll"
    picture = (3).to_bytes(4, "big") + b"\0\0\0\x09image/png" + bytes(20) + len(cover()).to_bytes(4, "big") + cover()
    blocks = [(0, streaminfo[1]), (4, comment), (0x86, picture)]
    head = b"".join(bytes([kind]) + len(content).to_bytes(3, "big") + content for kind, content in blocks)
    path.write_bytes(b"fLaC" + head + path.read_bytes()[audio:])
    return comment, picture


def test_flac_blocks_are_carried_over(tmp_path):
    comment, picture = tagged_flac(tmp_path / "in.flac")
    recording = read_recording(tmp_path / "in.flac")
    assert recording.format == "FLAC"
    write_like(recording, tmp_path / "out.flac", recording.stored)
    made = (tmp_path / "out.flac").read_bytes()
    assert comment in made
    assert picture in made
    assert np.array_equal(read_recording(tmp_path / "out.flac").stored, recording.stored)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.flac", "out.flac"]


def test_wav_chunks_are_carried_over(tmp_path):
    soundfile.write(tmp_path / "in.wav", music(1, 101), RATE, subtype="PCM_U8")  # odd: a padding byte
    extra = b"LIST\x12\0\0\0INFOINAM\x06\0\0\0Title\0" + b"id3 \x03\0\0\0ID3\0" + b"bext\x02\0\0\0ab"
    data = (tmp_path / "in.wav").read_bytes() + extra
    (tmp_path / "in.wav").write_bytes(data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:])
    recording = read_recording(tmp_path / "in.wav")
    write_like(recording, tmp_path / "out.wav", recording.stored)
    made = (tmp_path / "out.wav").read_bytes()
    assert made.endswith(extra)
    assert int.from_bytes(made[4:8], "little") == len(made) - 8
    assert np.array_equal(read_recording(tmp_path / "out.wav").stored, recording.stored)


def test_id3_tags_are_carried_over(tmp_path):
    soundfile.write(tmp_path / "in.mp3", music(2, 44_100), 44_100)
    before = b"ID3\x04\0\0\0\0\0\x0e" + b"TIT2\0\0\0\x04\0\0\x03abc"
    after = b"TAG" + b"t" * 125
    (tmp_path / "in.mp3").write_bytes(before + (tmp_path / "in.mp3").read_bytes() + after)
    recording = read_recording(tmp_path / "in.mp3")
    write_like(recording, tmp_path / "out.mp3", recording.stored)
    made = (tmp_path / "out.mp3").read_bytes()
    assert made.startswith(before)
    assert made.endswith(after)
    assert read_recording(tmp_path / "out.mp3").num_samples == recording.num_samples == 44_100


@pytest.mark.parametrize(("subtype", "rate"), [("VORBIS", 44_100), ("OPUS", 48_000)])
def test_ogg_comments_and_cover_are_carried_over(tmp_path, subtype, rate):
    soundfile.write(tmp_path / "plain.ogg", music(2, rate), rate, format="OGG", subtype=subtype)
    picture = struct.pack(">II", 3, 9) + b"image/png" + bytes(20) + len(cover()).to_bytes(4, "big") + cover()
    with av.open(str(tmp_path / "plain.ogg")) as old, av.open(str(tmp_path / "in.ogg"), "w") as file:
        stream = file.add_stream_from_template(old.streams.audio[0])
        told = {"TITLE": "Müll", "LABEL": "x y", "METADATA_BLOCK_PICTURE": base64.b64encode(picture).decode()}
        stream.metadata.update(told)
        for packet in old.demux(audio=0):
            if packet.size:
                packet.stream = stream
                file.mux(packet)
    recording = read_recording(tmp_path / "in.ogg")
    assert recording.subtype == subtype
    write_like(recording, tmp_path / "out.ogg", recording.stored)
    assert read_recording(tmp_path / "out.ogg").stored.shape == recording.stored.shape == (2, rate)
    with av.open(str(tmp_path / "out.ogg")) as file:
        tags = {name.upper(): value for name, value in file.streams.audio[0].metadata.items()}
        assert (tags["TITLE"], tags["LABEL"]) == ("Müll", "x y")
        assert bytes(next(file.demux(video=0))) == cover()


def test_the_same_samples_give_the_same_bytes(tmp_path):
    soundfile.write(tmp_path / "in.wav", music(), RATE, subtype="FLOAT")
    recording = read_recording(tmp_path / "in.wav")
    write_like(recording, tmp_path / "one.wav", recording.stored)
    assert b"PEAK" not in (tmp_path / "one.wav").read_bytes()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
@pytest.mark.parametrize("seconds", [2, 20])
def test_a_cut_off_file_is_said_to_be(tmp_path, suffix, seconds):
    sound = np.resize(music(), (seconds * RATE, music().shape[1]))
    soundfile.write(tmp_path / f"in{suffix}", sound, RATE)
    data = (tmp_path / f"in{suffix}").read_bytes()
    (tmp_path / f"in{suffix}").write_bytes(data[: len(data) // 2])
    with pytest.raises(InvalidAudio, match="cut off"):
        read_recording(tmp_path / f"in{suffix}")


def film(path, codec, late_seconds=0.0):
    """A second of pictures with sound that begins `late_seconds` after them."""
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        sound = file.add_stream(codec, rate=48_000, layout="stereo")
        for number in range(10):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * number, np.uint8), format="rgb24")
            picture.pts = number
            file.mux(pictures.encode(picture))
        block = np.ascontiguousarray(music(2, 48_000).astype(np.float32)).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, round(late_seconds * 48_000)
        frame.time_base = Fraction(1, 48_000)
        for piece in (frame, None):
            file.mux(sound.encode(piece))
        file.mux(pictures.encode(None))


def shown_in(path):
    with av.open(str(path)) as file:
        packets = [packet for packet in file.demux(file.streams.video) if packet.size]
        start = file.streams.audio[0].start_time * file.streams.audio[0].time_base
        return [(bytes(packet), packet.pts * packet.time_base) for packet in packets], start


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".mkv", "libopus")])
@pytest.mark.parametrize("late_seconds", [0.0, 0.5])
def test_a_film_keeps_its_pictures_and_the_place_of_its_sound(tmp_path, suffix, codec, late_seconds):
    source, made = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    film(source, codec, late_seconds)
    write_in_format_of(source, made, read_audio(source).scaled(0.5))
    (before, start), (after, new_start) = shown_in(source), shown_in(made)
    assert len(before) == 10
    assert after == before
    assert float(new_start) == pytest.approx(float(start), abs=0.03)
    levels = [np.std(read_audio(path).samples) for path in (source, made)]
    assert levels[1] == pytest.approx(0.5 * levels[0], rel=0.1)


def test_a_film_that_would_lose_its_pictures_is_refused(tmp_path):
    film(tmp_path / "in.avi", "libmp3lame")
    with pytest.raises(InvalidAudio, match="MP4 and Matroska alone"):
        write_in_format_of(tmp_path / "in.avi", tmp_path / "out.avi", read_audio(tmp_path / "in.avi"))
    assert not (tmp_path / "out.avi").exists()


def by_ffmpeg(path, codec, samples, rate, **options):
    """16-bit `samples` [samples] as FFmpeg writes them."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        for name, value in options.items():
            setattr(stream, name, value)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        for piece in (frame, None):
            file.mux(stream.encode(piece))


@pytest.mark.parametrize(("rate", "bits"), [(22_050, 64_000), (8_000, 24_000), (44_100, 24_000)])
def test_mp3_of_low_bit_rates_is_in_time_and_as_long(tmp_path, rate, bits):
    by_ffmpeg(
        tmp_path / "in.mp3", "libmp3lame", (music(1, 2 * rate)[:, 0] * 32767).astype(np.int16), rate, bit_rate=bits
    )
    recording = read_recording(tmp_path / "in.mp3")
    write_like(recording, tmp_path / "out.mp3", recording.stored)
    again = read_recording(tmp_path / "out.mp3")
    assert again.num_samples == recording.num_samples
    alike = np.fft.irfft(np.fft.rfft(again.stored[0]) * np.conj(np.fft.rfft(recording.stored[0])))
    assert alike.argmax() == 0
    sizes = [(tmp_path / name).stat().st_size for name in ("in.mp3", "out.mp3")]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)


@pytest.mark.parametrize(("kind", "bits"), [("s16p", 16), ("s32p", 24)])
def test_alac_keeps_depth_and_samples(tmp_path, kind, bits):
    by_ffmpeg(tmp_path / "in.m4a", "alac", (music(1)[:, 0] * 32767).astype(np.int16), RATE, format=kind)
    recording = read_recording(tmp_path / "in.m4a")
    assert (recording.subtype, recording.bits, recording.is_exact) == ("alac", bits, True)
    changed = recording.to_stored(recording.floats() * np.float32(0.7))
    write_like(recording, tmp_path / "out.m4a", changed)
    again = read_recording(tmp_path / "out.m4a")
    assert (again.subtype, again.bits) == ("alac", bits)
    assert np.array_equal(again.stored, changed)


def test_a_coding_of_whole_blocks_is_refused_where_it_would_be_longer(tmp_path):
    soundfile.write(tmp_path / "in.wav", music(1), RATE, subtype="IMA_ADPCM")
    recording = read_recording(tmp_path / "in.wav")
    with pytest.raises(InvalidAudio, match=r"IMA_ADPCM would hold \d+ samples instead of 5000; name another format"):
        write_like(recording, tmp_path / "out.wav", recording.stored[:, :5000])
    assert not (tmp_path / "out.wav").exists()
