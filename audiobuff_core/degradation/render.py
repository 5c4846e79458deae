"""Rendering a row of the plan: the same row and audio give the same bits, always."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.faults import (
    band_limit,
    bit_depth,
    clicks,
    clipping,
    codec,
    compressor,
    crackle,
    dc_offset,
    dropouts,
    environment,
    eq,
    filters,
    gaps,
    hum,
    level,
    mp3,
    noise,
    over_suppression,
    overdrive,
    rate_crush,
    reverb,
    rumble,
    saturation,
    softening,
    stereo,
    wind,
    wow_flutter,
)
from audiobuff_core.degradation.plan import PlanRow
from audiobuff_core.degradation.ranges import Parameters
from audiobuff_core.degradation.recipe import recipe_key
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.seeding import numpy_generator

Samples = NDArray[np.floating]

SMALLEST_PEAK, LARGEST_PEAK = 1e-12, 1e12
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
    "bit_depth": bit_depth.apply,
    "codec": codec.apply,
    "compressor": compressor.apply,
    "crackle": crackle.apply,
    "dc_offset": dc_offset.apply,
    "dropouts": dropouts.apply,
    "environment": environment.apply,
    "eq": eq.apply,
    "level": level.apply,
    "over_suppression": over_suppression.apply,
    "rate_crush": rate_crush.apply,
    "rumble": rumble.apply,
    "saturation": saturation.apply,
    "softening": softening.apply,
    "stereo": stereo.apply,
    "wind": wind.apply,
    "wow_flutter": wow_flutter.apply,
}


def render(row: PlanRow, waveform: Waveform) -> Waveform:
    """`waveform` with the faults of `row`: aligned, finite, of the same samples, rate and channels; may exceed +-1.

    Faults whose level is relative to the music leave silence silent; a band edge above the Nyquist rate does nothing.

    Raises:
        InvalidConfig: the row names a fault that does not exist.
    """
    samples: Samples = waveform.samples  # no fault writes into what it is given
    peak = max(float(samples.max()), -float(samples.min()))
    if not SMALLEST_PEAK < peak < LARGEST_PEAK:
        samples = samples.astype(np.float64)  # whose squares 32 bits can't hold
    for place, fault in enumerate(row.faults):
        if fault.kind not in FAULTS:
            raise InvalidConfig(f"Fault {fault.kind!r} of {row.track_id}: expected one of {', '.join(FAULTS)}")
        generator = numpy_generator("render", row.seed, row.audio_hash, row.variant, recipe_key(row.recipe), place)
        samples = FAULTS[fault.kind](samples, waveform.sample_rate, fault.parameters, generator)
    return Waveform(samples.astype(np.float32, copy=False), waveform.sample_rate)


def render_target(row: PlanRow, waveform: Waveform) -> Waveform:
    """What a restorer of `render(row, waveform)` should return: the clean audio at the level that the recipe wants.

    It is `waveform` itself, unless `target_gain` says otherwise. Speed is to be repaired: nothing is warped.
    """
    gain = target_gain(row)
    return waveform if gain == 1.0 else waveform.scaled(gain)


def target_gain(row: PlanRow) -> float:
    """What the clean audio is multiplied by (linear): the gain of faults `level` that scale their target too."""
    gain = 1.0
    for fault in row.faults:
        if fault.kind == "level" and fault.parameters["target"] == "scaled":
            gain *= level.linear_gain(fault.parameters)
    return gain
