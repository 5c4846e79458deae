"""Rendering a row of the plan: the same row and audio give the same bits, always."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.faults import (
    band_limit,
    clicks,
    clipping,
    filters,
    gaps,
    hum,
    mp3,
    noise,
    overdrive,
    reverb,
)
from audiobuff_core.degradation.plan import PlanRow
from audiobuff_core.degradation.ranges import Parameters
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.seeding import numpy_generator

Samples = NDArray[np.float64]
ApplyFault = Callable[[Samples, int, Parameters, np.random.Generator], Samples]

FAULTS: dict[str, ApplyFault] = {
    "filters": filters.apply,
    "overdrive": overdrive.apply,
    "noise": noise.apply,
    "hum": hum.apply,
    "clicks": clicks.apply,
    "clipping": clipping.apply,
    "band_limit": band_limit.apply,
    "gaps": gaps.apply,
    "mp3": mp3.apply,
    "reverb": reverb.apply,
}


def render(row: PlanRow, waveform: Waveform) -> Waveform:
    """`waveform` with the faults of `row`: aligned, finite, of the same samples, rate and channels; may exceed +-1.

    Faults whose level is relative to the music leave silence silent; a band edge above the Nyquist rate does nothing.

    Raises:
        InvalidConfig: the row names a fault that does not exist.
    """
    samples = waveform.samples.astype(np.float64)
    for place, fault in enumerate(row.faults):
        if fault.kind not in FAULTS:
            raise InvalidConfig(f"Fault {fault.kind!r} of {row.track_id}: expected one of {', '.join(FAULTS)}")
        generator = numpy_generator("render", row.seed, row.audio_hash, row.variant, row.recipe, place)
        samples = FAULTS[fault.kind](samples, waveform.sample_rate, fault.parameters, generator)
    return Waveform(samples.astype(np.float32), waveform.sample_rate)
