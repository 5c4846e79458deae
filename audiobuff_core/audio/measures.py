"""A few facts about a recording, by stretches, so that its length costs no memory."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from audiobuff_core.audio.bandwidth import bandwidth_hz
from audiobuff_core.audio.clipped import clipped_share
from audiobuff_core.audio.loudness import loudness_lufs
from audiobuff_core.audio.peaks import true_peak
from audiobuff_core.audio.waveform import Waveform

STRETCH_SECONDS = 60
_GATE_LU = 10.0


def measure(stretches: Iterable[Waveform]) -> dict[str, Any]:
    """JSON facts of a recording that comes in successive `stretches` of at most a minute.

    `peak_db` and `true_peak_db` (four times oversampled) in dB of full scale, `rms_db`, `loudness_lufs` (BS.1770; of
    several stretches the gated mean of theirs), `dc_offset` (largest of the channels), `bandwidth_hz` (of the widest
    stretch) and `clipped_share`. What silence or too short a recording does not have is None.
    """
    peaks, squares, bands, clipped, loudness = [], [], [], [], []
    offsets: list[Any] = []
    num_samples = 0
    for stretch in stretches:
        count = stretch.num_samples
        num_samples += count
        peaks.append((float(np.abs(stretch.samples).max()), true_peak(stretch)))
        squares.append(float(np.square(stretch.samples, dtype=np.float64).sum()) / stretch.channels)
        offsets.append(stretch.samples.sum(axis=1, dtype=np.float64))
        bands.append(bandwidth_hz(stretch))
        clipped.append(clipped_share(stretch) * count)
        loudness.append((loudness_lufs(stretch), count))
    total = max(1, num_samples)
    return {
        "peak_db": decibels(max((peak for peak, _ in peaks), default=0.0)),
        "true_peak_db": decibels(max((peak for _, peak in peaks), default=0.0)),
        "rms_db": decibels(float(np.sqrt(sum(squares) / total))),
        "loudness_lufs": _gated_mean(loudness),
        "dc_offset": round(float(np.abs(sum(offsets) / total).max()), 6) if offsets else 0.0,
        "bandwidth_hz": round(max(bands, default=0.0), 1),
        "clipped_share": round(sum(clipped) / total, 7),
    }


def decibels(amplitude: float) -> float | None:
    """`amplitude` in dB of full scale; None for silence."""
    return round(20 * float(np.log10(amplitude)), 3) if amplitude > 0 else None


def _gated_mean(loudness: list[tuple[float | None, int]]) -> float | None:
    """The mean power of stretches within 10 LU of the mean of all, as the standard gates its blocks."""
    known = [(10 ** (level / 10), count) for level, count in loudness if level is not None]
    if not known:
        return None
    mean = _mean(known)
    return round(10 * float(np.log10(_mean([one for one in known if one[0] >= mean / 10 ** (_GATE_LU / 10)]))), 3)


def _mean(known: list[tuple[float, int]]) -> float:
    return sum(power * count for power, count in known) / sum(count for _, count in known)
