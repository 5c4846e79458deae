"""A recording is known again in another format, at another level or rate; other takes of the same are not."""

import io

import numpy as np
import pytest
import soundfile

from audiobuff_assets.corpus_files import corpus_folder
from audiobuff_core.audio.fingerprint import MOST_ERRORS, error_share, fingerprint
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform


def clip(name):
    return read_audio(corpus_folder() / f"{name}.flac")


def encoded(waveform, format_name):
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform.samples.T, waveform.sample_rate, format=format_name)
    samples, sample_rate = soundfile.read(io.BytesIO(buffer.getvalue()), dtype="float32", always_2d=True)
    return Waveform(np.ascontiguousarray(samples.T), sample_rate)


def least(one, other):
    shifts = range(8 - len(other.words), len(one.words) - 8)
    return min((error_share(one, other, shift) for shift in shifts), default=1.0)


COPIES = {
    "mp3": lambda waveform: encoded(waveform, "MP3"),
    "vorbis": lambda waveform: encoded(waveform, "OGG"),
    "quiet": lambda waveform: waveform.scaled(0.05),
    "other polarity": lambda waveform: waveform.scaled(-1.0),
    "22.05 kHz": lambda waveform: resample(waveform, 22_050),
    "96 kHz": lambda waveform: resample(waveform, 96_000),
    "stereo": lambda waveform: Waveform(np.repeat(waveform.samples, 2, axis=0), waveform.sample_rate),
    "later start": lambda waveform: Waveform(np.ascontiguousarray(waveform.samples[:, 3000:]), waveform.sample_rate),
}


@pytest.mark.parametrize("copy", COPIES)
def test_copies_are_known_again(copy):
    for name in ("loop_tabla", "guit_em9", "perc_bell", "tabla_ghe2"):
        waveform = clip(name)
        assert least(fingerprint(waveform), fingerprint(COPIES[copy](waveform))) < 0.13, name


def test_other_takes_are_others():
    prints = [fingerprint(clip(f"tabla_{name}")) for name in ("ghe1", "ghe2", "ghe5", "tun1", "tun2", "na", "na_o")]
    prints += [fingerprint(clip(f"drum_cymbal_{name}")) for name in ("soft", "hard")]
    shares = [least(one, other) for place, one in enumerate(prints) for other in prints[:place]]
    assert min(shares) > MOST_ERRORS
    assert float(np.median(shares)) > 0.35


def test_silence_is_like_nothing_not_even_itself():
    silent = fingerprint(Waveform(np.zeros((1, 44_100), np.float32), 44_100))
    assert not silent.heard.any()
    assert error_share(silent, silent, 0) == 1.0
    one_sample = fingerprint(Waveform(np.ones((1, 1), np.float32), 8_000))
    assert error_share(one_sample, one_sample, 0) == 1.0


def test_only_the_first_half_minute_counts():
    generator = np.random.default_rng(0)
    noise = generator.uniform(-0.1, 0.1, (1, 8_000 * 40)).astype(np.float32)
    other_end = noise.copy()
    other_end[:, 8_000 * 31 :] = 0.0
    first, second = (fingerprint(Waveform(samples, 8_000)) for samples in (noise, other_end))
    np.testing.assert_array_equal(first.words, second.words)
