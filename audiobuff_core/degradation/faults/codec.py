"""Lossy files: the real codecs, there and back, up to several times."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.resample import resample
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.align import aligned
from audiobuff_core.degradation.faults import streams
from audiobuff_core.degradation.ranges import Parameters

Samples = NDArray[np.floating]

TELEPHONE_RATE = 8_000
# What an encoder and a decoder may leave between them, in samples at the codec's rate.
MOST_DELAY_SAMPLES = 4096
SHORTEST_SAMPLES = 2048


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec: `encode` makes a whole file of a waveform and the row; `rates` are those it takes, in Hz, all if none.

    `limits` the sound to full scale first, as formats of whole numbers do; what comes out is up to `late` samples of
    its rate later than what went in, and the file does not say so.
    """

    encode: Callable[[Waveform, Parameters], bytes]
    rates: tuple[int, ...] = ()
    limits: bool = False
    late: int = 0


CODECS = {
    "mp3_vbr": Codec(
        lambda waveform, row: streams.encode_mp3_vbr(waveform, float(row["quality"])),
        (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    ),
    "vorbis": Codec(
        lambda waveform, row: streams.encode_vorbis(waveform, float(row["quality"])),
        (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000),
    ),
    "opus": Codec(
        lambda waveform, row: streams.encode_av(waveform, "libopus", "ogg", int(row["bit_rate"])),
        (8_000, 12_000, 16_000, 24_000, 48_000),
        late=960,
    ),
    "aac": Codec(
        lambda waveform, row: streams.encode_av(waveform, "aac", "adts", int(row["bit_rate"])),
        (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
        late=2048,
    ),
    "gsm": Codec(lambda waveform, _: streams.encode_telephone(waveform, "GSM610"), (TELEPHONE_RATE,), True),
    "mu_law": Codec(lambda waveform, _: streams.encode_telephone(waveform, "ULAW"), (TELEPHONE_RATE,), True),
    "a_law": Codec(lambda waveform, _: streams.encode_telephone(waveform, "ALAW"), (TELEPHONE_RATE,), True),
}


def apply(samples: Samples, sample_rate: int, parameters: Parameters, _generator: np.random.Generator) -> Samples:
    """`samples` [channels, samples] through `codec`, `generations` times, re-aligned after each.

    `bit_rate` (opus, aac) is of a channel, in bits a second; `quality` (mp3_vbr, vorbis) is 0 for the least and 1 for
    the most. GSM, mu-law and A-law are at 8 kHz. A rate that the codec does not have is resampled to the next that it
    has. One or two channels share the file of codecs for music; telephones have one.
    """
    codec = CODECS[str(parameters["codec"])]
    together = samples.shape[0] <= 2 and TELEPHONE_RATE not in codec.rates[-1:]
    groups = [samples] if together else [channel[np.newaxis] for channel in samples]
    for _ in range(int(parameters["generations"])):
        groups = [_generation(group, sample_rate, codec, parameters) for group in groups]
    return np.concatenate(groups)


def _generation(samples: Samples, sample_rate: int, codec: Codec, parameters: Parameters) -> Samples:
    if not samples.any():
        return samples  # coders dither silence; a silent track stays silent
    incoming = resample(Waveform(samples.astype(np.float32), sample_rate), stream_rate(sample_rate, codec))
    peak = float(np.abs(incoming.samples).max())
    loudest = 1.0 if codec.limits else streams.LOUDEST
    gain = loudest / peak if peak > loudest else 1.0
    # Followed by silence: some encoders want a whole frame, and what comes late has to come at all.
    missing = max(codec.late, SHORTEST_SAMPLES - incoming.num_samples)
    padded = Waveform(np.pad(incoming.samples * np.float32(gain), ((0, 0), (0, missing))), incoming.sample_rate)
    decoded, decoded_rate = streams.decode(codec.encode(padded, parameters))
    if decoded_rate != incoming.sample_rate:  # Opus always decodes at 48 kHz
        decoded = resample(Waveform(decoded, decoded_rate), incoming.sample_rate).samples
    fitted = _of_shape(decoded / gain, (samples.shape[0], incoming.num_samples + codec.late))
    outgoing = resample(Waveform(fitted.astype(np.float32), incoming.sample_rate), sample_rate)
    most_samples = max(1, round(MOST_DELAY_SAMPLES * sample_rate / incoming.sample_rate))
    # At the track's own rate: a sample of the codec's may be several of it.
    late = outgoing.num_samples - samples.shape[1] if codec.late else 0
    fitted = _of_shape(outgoing.samples, (samples.shape[0], samples.shape[1] + late))
    return aligned(samples, fitted, most_samples=most_samples)


def stream_rate(sample_rate: int, codec: Codec) -> int:
    """The lowest rate of the codec that is not below `sample_rate`, or its highest."""
    if not codec.rates:
        return sample_rate
    return min((rate for rate in codec.rates if rate >= sample_rate), default=codec.rates[-1])


def _of_shape(samples: NDArray[np.floating], shape: tuple[int, ...]) -> Samples:
    kept = samples[: shape[0], : shape[1]].astype(np.float64)
    return np.pad(kept, ((0, shape[0] - kept.shape[0]), (0, shape[1] - kept.shape[1])))
