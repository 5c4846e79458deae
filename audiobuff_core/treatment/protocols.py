"""What a treatment is: detect, verify, treat the samples concerned and say so; or leave the recording alone."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Samples, Waveform

# In Hz; below, too little is left of a sound to tell a fault from it.
LOWEST_RATE = 8000
FLOOR_DB = -200.0
BLOCK_SAMPLES = 1 << 20


@dataclass(frozen=True, slots=True)
class Repair:
    """One place that was changed.

    Attributes:
        kind: name of the treatment.
        start_seconds: of the first changed sample.
        end_seconds: after the last one.
        channels: the changed ones, from 0.
        size_db: RMS of the change inside the place, in dB of full scale.
        confidence: 0 to 1, how sure the verification was; not a calibrated probability.
    """

    kind: str
    start_seconds: float
    end_seconds: float
    channels: tuple[int, ...]
    size_db: float
    confidence: float

    def moved(self, seconds: float) -> "Repair":
        """The same, so much later."""
        return replace(self, start_seconds=self.start_seconds + seconds, end_seconds=self.end_seconds + seconds)

    def as_dict(self) -> dict[str, Any]:
        """For a report in JSON."""
        return asdict(self) | {"channels": list(self.channels)}


@dataclass(frozen=True, slots=True)
class Treated:
    """A recording after a treatment and the list of what was changed, in order of time.

    Without repairs `waveform` is the very object that came in, with them every sample outside of the repairs'
    places and channels is bit for bit that of the input.
    """

    waveform: Waveform
    repairs: tuple[Repair, ...] = ()


class Treatment(Protocol):
    """Repairs one kind of fault, or returns its input. The same input always gives the same output."""

    @property
    def name(self) -> str:
        """The kind of its repairs; also what it is switched off by."""
        ...

    def treat(self, waveform: Waveform) -> Treated:
        """`waveform` repaired: the same rate, channels and number of samples; may exceed full scale."""
        ...


def treat_channels(
    kind: str, waveform: Waveform, treated: Callable[[Samples], tuple[Samples, float] | None]
) -> Treated:
    """`waveform` with each channel treated as a whole, if its rate is not below 8 kHz.

    `treated` makes of a channel [samples] another one and says how sure it is, 0 to 1; None leaves it as it is.
    """
    samples, repairs = waveform.samples, []
    for channel, before in enumerate(waveform.samples if waveform.sample_rate >= LOWEST_RATE else ()):
        if (found := treated(before)) is None:
            continue
        samples = waveform.samples.copy() if samples is waveform.samples else samples
        samples[channel], confidence = found
        size_db = change_db(before, samples[channel])
        repairs.append(Repair(kind, 0.0, waveform.duration_seconds, (channel,), size_db, confidence))
    return Treated(Waveform(samples, waveform.sample_rate), tuple(repairs)) if repairs else Treated(waveform)


def change_db(before: NDArray[np.floating], after: NDArray[np.floating]) -> float:
    """RMS of `after` - `before`, shape [samples], in dB of full scale, at least -200 dB; taken in blocks."""
    energy = 0.0
    for start in range(0, len(before), BLOCK_SAMPLES):
        block = slice(start, start + BLOCK_SAMPLES)
        energy += float(np.square(after[block].astype(np.float64) - before[block]).sum())
    return max(FLOOR_DB, 10.0 * float(np.log10(energy / len(before) + 1e-30)))
