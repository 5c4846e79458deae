"""What is heard of an item: the same loudest seconds of every version, all equally loud."""

from collections.abc import Mapping

import numpy as np

from audiobuff_core.audio.loudness import loudness_lufs
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidAudio
from audiobuff_core.evaluation.held_out import loudest_clip
from audiobuff_core.evaluation.pairs import FLOOR, Item
from audiobuff_core.evaluation.peers.filters import low_pass

REFERENCE, ANCHOR = "reference", "anchor"
ANCHOR_HZ = 3500.0  # of the low anchor of ITU-R BS.1534
FADE_SECONDS = 0.01
PEAK = 0.9
MOST_GAIN_DB = 40.0


def excerpts_of(item: Item, seconds: float) -> dict[str, Waveform]:
    """Reference, anchor, damaged input and what each system made of it, by row; all as loud as the reference.

    Loudness is that of ITU-R BS.1770, RMS where that has none; no version is made louder by more than 40 dB. One more
    gain, common to all, keeps them below full scale.

    Raises:
        InvalidAudio: a file can't be read, or is of another rate, length or number of channels than the clean one.
    """
    clean = read_audio(item.clean)
    start_seconds, reference = loudest_clip(clean, seconds)
    first = round(start_seconds * clean.sample_rate)
    rows = {REFERENCE: reference, ANCHOR: low_pass(reference, min(ANCHOR_HZ, 0.4 * clean.sample_rate))}
    for row, path in {FLOOR: item.degraded, **item.restored}.items():
        waveform = read_audio(path)
        if waveform.samples.shape != clean.samples.shape or waveform.sample_rate != clean.sample_rate:
            raise InvalidAudio(
                f"{path} has shape {waveform.samples.shape} at {waveform.sample_rate} Hz: expected "
                f"{clean.samples.shape} at {clean.sample_rate} Hz as {item.clean}"
            )
        cut = np.ascontiguousarray(waveform.samples[:, first : first + reference.num_samples])
        rows[row] = Waveform(cut, clean.sample_rate)
    return level_matched(rows)


def level_matched(rows: Mapping[str, Waveform]) -> dict[str, Waveform]:
    """All of `rows` as loud as `reference` among them, faded in and out; their common peak is at most 0.9."""
    target = _level_db(rows[REFERENCE])
    gains = {row: 10.0 ** (min(MOST_GAIN_DB, target - _level_db(one)) / 20.0) for row, one in rows.items()}
    loudest = max(gains[row] * float(np.abs(one.samples).max()) for row, one in rows.items())
    common = min(1.0, PEAK / loudest) if loudest > 0.0 else 1.0
    return {row: _faded(one.scaled(gains[row] * common)) for row, one in rows.items()}


def _level_db(waveform: Waveform) -> float:
    loudness = loudness_lufs(waveform)
    if loudness is not None:
        return loudness
    return 10.0 * float(np.log10(np.mean(np.square(waveform.samples, dtype=np.float64)) + 1e-12))


def _faded(waveform: Waveform) -> Waveform:
    length = min(round(FADE_SECONDS * waveform.sample_rate), waveform.num_samples // 2)
    samples = waveform.samples.copy()
    ramp = np.linspace(0.0, 1.0, length, dtype=np.float32)
    samples[:, :length] *= ramp
    samples[:, waveform.num_samples - length :] *= ramp[::-1]
    return Waveform(samples, waveform.sample_rate)
