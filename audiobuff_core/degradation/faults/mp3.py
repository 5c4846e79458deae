"""MP3: the real codec, there and back."""

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.align import aligned
from audiobuff_core.degradation.faults.streams import LOUDEST
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

# MPEG-1, MPEG-2 and MPEG-2.5: sample rates in Hz, lowest and highest bit rate.
LAYERS = (
    ((32_000, 44_100, 48_000), 32_000, 320_000),
    ((16_000, 22_050, 24_000), 8_000, 160_000),
    ((8_000, 11_025, 12_000), 8_000, 64_000),
)
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
    gain = min(1.0, LOUDEST / max(1e-30, float(np.abs(incoming.samples).max())))
    scaled = incoming if gain == 1.0 else incoming.scaled(gain)
    with soundfile.SoundFile(io.BytesIO(_encode(scaled, stream_rate))) as file:
        decoded = np.ascontiguousarray(file.read(dtype="float32", always_2d=True).T)
    decoded = _of_length(decoded, incoming.num_samples) / gain
    decoded = aligned(incoming.samples.astype(np.float64), decoded, most_samples=MOST_DELAY_SAMPLES)
    outgoing = resample(Waveform(decoded.astype(np.float32), codec_rate), sample_rate)
    return _of_length(outgoing.samples, samples.shape[1])


def stream_rates(sample_rate: int, bit_rate: int) -> tuple[int, int]:
    """The sample rate (Hz) and bit rate that MP3 offers nearest to those asked for, rather above than below."""
    offered = [(rate, layer) for layer in LAYERS if bit_rate >= layer[1] for rate in layer[0]]
    above = [pair for pair in offered if pair[0] >= sample_rate]
    codec_rate, layer = min(above) if above else max(offered)
    return codec_rate, min(bit_rate, layer[2])


def _encode(waveform: Waveform, bit_rate: int) -> bytes:
    import av

    layout = "mono" if waveform.channels == 1 else "stereo"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=waveform.sample_rate, layout=layout)
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(waveform.samples), format="fltp", layout=layout)
        frame.sample_rate = waveform.sample_rate
        for piece in (frame, None):
            container.mux(stream.encode(piece))
    return buffer.getvalue()


def _of_length(samples: NDArray[np.floating], num_samples: int) -> Samples:
    kept = samples[:, :num_samples].astype(np.float64)
    return np.pad(kept, ((0, 0), (0, num_samples - kept.shape[1])))
