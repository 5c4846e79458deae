"""MP3: the real codec, there and back."""

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.align import aligned
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

# MPEG-1, MPEG-2 and MPEG-2.5: sample rates in Hz, lowest and highest bit rate.
LAYERS = (
    ((32_000, 44_100, 48_000), 32_000, 320_000),
    ((16_000, 22_050, 24_000), 8_000, 160_000),
    ((8_000, 11_025, 12_000), 8_000, 64_000),
)
# The peak that every recording is brought to before coding, and from after it: LAME takes 16 bits here, and of a quiet
# recording would be left with a few. The error of rounding is 90 dB below the peak, far under that of the coding.
FULL_SCALE = 1.0
PCM_16 = 32767
# LAME's own standard.
LAME_QUALITY = 3
# What encoder and decoder may leave between them: two frames.
MOST_DELAY_SAMPLES = 2304


def apply(samples: Samples, sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] encoded at `bit_rate` by LAME and decoded, `generations` times, and re-aligned.

    Rates that MP3 does not have, or not at this bit rate, are resampled to one it has, as encoders do. One or two
    channels share the stream; more are encoded one by one.
    """
    bit_rate = int(parameters["bit_rate"])
    groups = [samples] if samples.shape[0] <= 2 else [channel[np.newaxis] for channel in samples]
    for _ in range(int(parameters["generations"])):
        groups = [_generation(group, sample_rate, bit_rate) for group in groups]
    return np.concatenate(groups)


def _generation(samples: Samples, sample_rate: int, bit_rate: int) -> Samples:
    codec_rate, stream_rate = stream_rates(sample_rate, bit_rate)
    incoming = resample(Waveform(samples.astype(np.float32), sample_rate), codec_rate)
    if not np.any(incoming.samples):
        return np.zeros_like(samples, dtype=np.float64)
    wide = incoming.samples.astype(np.float64)  # the gain of the faintest has no 32-bit number
    gain = FULL_SCALE / float(np.abs(wide).max())
    with soundfile.SoundFile(io.BytesIO(_encode(wide * gain, codec_rate, stream_rate))) as file:
        decoded = np.ascontiguousarray(file.read(dtype="float32", always_2d=True).T)
    decoded = aligned(wide, decoded, most_samples=MOST_DELAY_SAMPLES)
    decoded = _of_length(decoded, incoming.num_samples) / gain
    outgoing = resample(Waveform(decoded.astype(np.float32), codec_rate), sample_rate)
    return _of_length(outgoing.samples, samples.shape[1])


def stream_rates(sample_rate: int, bit_rate: int) -> tuple[int, int]:
    """The sample rate (Hz) and bit rate that MP3 offers nearest to those asked for, rather above than below."""
    offered = [(rate, layer) for layer in LAYERS if bit_rate >= layer[1] for rate in layer[0]]
    above = [pair for pair in offered if pair[0] >= sample_rate]
    codec_rate, layer = min(above) if above else max(offered)
    return codec_rate, min(bit_rate, layer[2])


def _encode(samples: NDArray[np.floating], sample_rate: int, bit_rate: int) -> bytes:
    """An MP3 stream of `samples` [1 or 2, samples], whose peak is 1; both in Hz and bits a second."""
    import lameenc

    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_channels(len(samples))
    encoder.set_in_sample_rate(sample_rate)
    encoder.set_out_sample_rate(sample_rate)
    encoder.set_bit_rate(bit_rate // 1000)
    encoder.set_quality(LAME_QUALITY)
    pcm = np.round(samples.T * PCM_16).astype("<i2").tobytes()
    return bytes(encoder.encode(pcm) + encoder.flush())


def _of_length(samples: NDArray[np.floating], num_samples: int) -> Samples:
    kept = samples[:, :num_samples].astype(np.float64)
    return np.pad(kept, ((0, 0), (0, num_samples - kept.shape[1])))
