"""All treatments, in the order that undoes damage from its end: what happened last is repaired first."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.treatment.channels import FixPolarity, ReviveChannel
from audiobuff_core.treatment.clicks import Declick
from audiobuff_core.treatment.clipping import Declip
from audiobuff_core.treatment.dc import RemoveOffset
from audiobuff_core.treatment.gaps import FillGaps
from audiobuff_core.treatment.hum import Dehum
from audiobuff_core.treatment.lost_band import FillBand
from audiobuff_core.treatment.low_noise import DenoiseLow
from audiobuff_core.treatment.noise import Denoise
from audiobuff_core.treatment.protocols import Repair, Treated, Treatment
from audiobuff_core.treatment.quantisation import Dequantise
from audiobuff_core.treatment.rumble import Derumble
from audiobuff_core.treatment.sample_hold import Unhold

# Gaps come first: as long as nothing has been changed, they are exact zeros. Channels come before all that looks at
# each by itself. Clipping before hum: a recorder cuts off music and hum together, and the flat tops are gone once hum
# is taken out. Clicks before hum and offset, which they would disturb. Held samples and steps as long as nothing has
# moved them. Rumble after hum, which may lie in its band. Noise when nothing else is left above it, low noise before a
# filter changes how it varies, and a lost band is filled when nothing hides its edge.
_ORDER: tuple[Treatment, ...] = (
    FillGaps(), ReviveChannel(), FixPolarity(), Unhold(), Declip(), Declick(), Dequantise(), Dehum(), Derumble(),
    DenoiseLow(), Denoise(), RemoveOffset(), FillBand(),
)  # fmt: skip
TREATMENTS: Mapping[str, Treatment] = MappingProxyType({one.name: one for one in _ORDER})
IN_HASTE: Mapping[str, Treatment] = MappingProxyType(
    {Declip.name: Declip(by_prediction_alone=True), Denoise.name: Denoise(by_filter_alone=True)}
)
# What can't be proved but only judged: of noise a network is a witness, it must know it; lost bands a flow can invent.
GUESSES = (Denoise.name, DenoiseLow.name, FillBand.name)


def treat(waveform: Waveform, *, without: Collection[str] = (), in_haste: bool = False) -> Treated:
    """`waveform` after every treatment but those named in `without`, and all repairs in order of time.

    `in_haste` it is the filter of noise alone that takes it away, and prediction alone that rebuilds clipped peaks.

    Nothing found returns the very `waveform`. The result may exceed full scale, where peaks were rebuilt.

    Raises:
        InvalidConfig: `without` names no treatment.
    """
    unknown = sorted(set(without) - set(TREATMENTS))
    if unknown:
        raise InvalidConfig(f"Treatment {', '.join(unknown)}: expected any of {', '.join(TREATMENTS)}")
    repairs: list[Repair] = []
    treatments = {**TREATMENTS, **IN_HASTE} if in_haste else TREATMENTS
    for name, treatment in treatments.items():
        if name not in without:
            treated = treatment.treat(waveform)
            waveform = treated.waveform
            repairs += treated.repairs
    return Treated(waveform, tuple(sorted(repairs, key=lambda repair: (repair.start_seconds, repair.kind))))
