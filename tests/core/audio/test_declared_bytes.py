"""A file that was cut off is never taken for a whole one, whichever format it is in."""

import av
import numpy as np
import pytest
import soundfile

from audiobuff_core.audio.declared_bytes import declared_bytes
from audiobuff_core.audio.read import read_audio, read_pieces
from audiobuff_core.audio.recording import read_recording
from audiobuff_core.errors import AudioBuffError, AudioCutOff

RATE = 48_000
FORMATS = {
    "wav": ("WAV", "PCM_16"), "rf64": ("RF64", "PCM_16"), "w64": ("W64", "PCM_24"), "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"),
}  # fmt: skip


def write(path):
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (2 * RATE, 2)).astype(np.float32)
    if path.suffix[1:] in FORMATS:
        container, coding = FORMATS[path.suffix[1:]]
        soundfile.write(path, samples, RATE, format=container, subtype=coding)
        return
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libopus", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="stereo")
        frame.sample_rate = RATE
        for piece in (frame, None):
            file.mux(stream.encode(piece))


@pytest.mark.parametrize("suffix", [*FORMATS, "mkv", "webm"])
def test_a_file_says_its_size_and_what_was_cut_off_is_refused(tmp_path, suffix):
    path = tmp_path / f"take.{suffix}"
    write(path)
    whole = path.read_bytes()
    assert declared_bytes(path) == len(whole)
    assert read_audio(path, whole=True).num_samples == pytest.approx(2 * RATE, abs=1000)
    assert read_recording(path).num_samples == pytest.approx(2 * RATE, abs=1000)
    for share in (0.5, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        assert declared_bytes(path) > path.stat().st_size
        for read in (
            lambda: read_audio(path, whole=True),
            lambda: list(read_pieces(path, longest_seconds=60.0, shortest_seconds=1.0)),
            lambda: read_recording(path),
        ):
            with pytest.raises(AudioBuffError, match=r"cut off|can be decoded"):
                read()


def test_an_ogg_that_ends_in_the_head_of_a_page_was_cut_off(tmp_path):
    path = tmp_path / "take.ogg"
    write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rfind(b"OggS") + 20])
    with pytest.raises(AudioCutOff, match="cut off"):
        read_audio(path, whole=True)


def test_what_does_not_know_its_size_says_none(tmp_path):
    path = tmp_path / "stream.au"
    write(path)
    data = path.read_bytes()
    path.write_bytes(data[:8] + b"\xff" * 4 + data[12:])
    assert declared_bytes(path) is None
    path.write_bytes(b"\x1a\x45\xdf\xa3\x84\x00\x00\x00\x00\x18\x53\x80\x67\x01" + b"\xff" * 7)
    assert declared_bytes(path) is None
    path.write_bytes(b"\x1a\x45\xdf\xa3\x84\x00\x00\x00\x00\x18\x53\x80\x67\x82ab")
    assert declared_bytes(path) == path.stat().st_size
    path.write_bytes(b"no audio")
    assert declared_bytes(path) is None
