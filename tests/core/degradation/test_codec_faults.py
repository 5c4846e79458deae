"""Codecs change the sound, leave it in its place, and are those of their rows."""

import io

import av
import numpy as np
import pytest
from tones import RATE, RATES, ratio_db, tone, white

from audiobuff_core.audio.bandwidth import bandwidth_hz
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.align import delay_samples
from audiobuff_core.degradation.faults import codec, mp3

CODEC = {"generations": 1, "bit_rate": 16_000, "quality": 0.2}


USED = {
    "mp3_vbr": "mp3float", "vorbis": "vorbis", "opus": "opus", "aac": "aac", "gsm": "gsm_ms", "mu_law": "pcm_mulaw",
    "a_law": "pcm_alaw",
}  # fmt: skip


@pytest.mark.parametrize("name", list(USED))
def test_the_codec_of_the_row_is_really_used(name):
    used = codec.CODECS[name]
    rate = codec.stream_rate(RATE, used)
    channels = 1 if rate == 8_000 else 2
    data = used.encode(Waveform(white(channels, 1.0, rate).astype(np.float32), rate), CODEC | {"codec": name})
    with av.open(io.BytesIO(data)) as file:
        stream = file.streams.audio[0]
        assert stream.codec_context.codec.name in (USED[name], f"lib{USED[name]}", "mp3")
        assert stream.codec_context.channels == channels
    # Fewer bytes than 16-bit samples: something was left out.
    assert len(data) < 0.52 * 2 * channels * rate + 200


@pytest.mark.parametrize("name", list(USED))
@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_codecs_change_the_sound_and_leave_it_in_place(name, sample_rate, channels, generator):
    clean = white(channels, 0.5, sample_rate) + tone(440.0, sample_rate, 0.5, 0.2, channels)
    damaged = codec.apply(clean, sample_rate, CODEC | {"codec": name}, generator)
    assert damaged.shape == clean.shape
    assert abs(delay_samples(clean, damaged, most_samples=4000)) <= 1
    assert 0.0 < ratio_db(clean, damaged - clean) < 40.0
    assert np.std(damaged[:, -sample_rate // 250 :]) > 0.02  # what comes late is there, to the end
    if name in ("gsm", "mu_law", "a_law") and sample_rate > 8_000:
        assert bandwidth_hz(Waveform(damaged.astype(np.float32), sample_rate)) < 4_300


@pytest.mark.parametrize("name", ["mp3_vbr", "vorbis", "opus", "aac", "gsm"])
def test_generations_of_a_codec_add_up(name, generator):
    clean = white(1, 1.0) * 0.3 + tone(440.0)
    errors = [
        np.std(codec.apply(clean, RATE, CODEC | {"codec": name, "generations": count}, generator) - clean)
        for count in (1, 3)
    ]
    assert errors[1] > errors[0] > 1e-4


def test_a_loud_call_is_limited_and_not_wrapped(generator):
    clean = tone(440.0, 8_000, amplitude=4.0)
    damaged = codec.apply(clean, 8_000, CODEC | {"codec": "mu_law"}, generator)
    assert ratio_db(clean, damaged - clean) > 30


@pytest.mark.parametrize(("bit_rate", "edge_hz"), [(24_000, 8_500), (32_000, 12_000), (128_000, 21_000)])
@pytest.mark.parametrize("sample_rate", [44_100, 192_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_mp3_loses_the_top_of_the_spectrum_with_the_bit_rate(bit_rate, edge_hz, sample_rate, channels, generator):
    clean = white(channels, 1.0, sample_rate)
    damaged = mp3.apply(clean, sample_rate, {"bit_rate": bit_rate, "generations": 1}, generator)
    power = np.abs(np.fft.rfft(damaged[-1])) ** 2
    hz = np.fft.rfftfreq(damaged.shape[1], 1 / sample_rate)
    assert power[(hz > edge_hz) & (hz < 22_050)].mean() < 1e-2 * power[(hz > 500) & (hz < 3000)].mean()
    assert abs(delay_samples(clean, damaged, most_samples=3000)) <= (sample_rate > 48_000)


def test_mp3_generations_add_up(generator):
    clean = tone(440) + white(seconds=1.0) * 0.3
    errors = [
        np.std(mp3.apply(clean, RATE, {"bit_rate": 48_000, "generations": count}, generator) - clean)
        for count in (1, 3)
    ]
    assert errors[1] > errors[0] > 1e-4


@pytest.mark.parametrize(
    ("sample_rate", "bit_rate", "expected"),
    [
        (44_100, 128_000, (44_100, 128_000)),
        (44_100, 24_000, (24_000, 24_000)),
        (192_000, 64_000, (48_000, 64_000)),
        (8_000, 128_000, (8_000, 64_000)),
        (10_000, 32_000, (11_025, 32_000)),
    ],
)
def test_mp3_uses_rates_that_the_format_has(sample_rate, bit_rate, expected):
    assert mp3.stream_rates(sample_rate, bit_rate) == expected
