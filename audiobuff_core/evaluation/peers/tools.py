"""The classical tools for each kind of fault, ours and those of libraries, the usual one first."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.faults.level import linear_gain
from audiobuff_core.degradation.ranges import Parameters
from audiobuff_core.evaluation.peers import filters, libraries
from audiobuff_core.evaluation.peers.ffmpeg import ffmpeg_filtered
from audiobuff_core.treatment.chain import TREATMENTS

QUIET_SNR_DB = 40.0  # of noise whose level no row tells
Use = Callable[[Waveform, Parameters], Waveform]


@dataclass(frozen=True, slots=True)
class Tool:
    """A way to undo a fault of which the kind and the settings are known, and what it is called in a report."""

    name: str
    use: Use


def _ours(name: str) -> Tool:
    return Tool(f"audiobuff {name}", lambda waveform, _: TREATMENTS[name].treat(waveform).waveform)


def _ffmpeg(*chain: tuple[str, str]) -> Tool:
    name = "ffmpeg " + ",".join(f"{name}={options}" if options else name for name, options in chain)
    return Tool(name, lambda waveform, _: ffmpeg_filtered(waveform, chain))


def _loaded(name: str, load: Callable[[], Callable[[Waveform], Waveform]]) -> Tool:
    once = lru_cache(maxsize=1)(load)
    return Tool(name, lambda waveform, _: once()(waveform))


def _then(first: Tool, second: Tool) -> Tool:
    return Tool(f"{first.name} + {second.name}", lambda waveform, known: second.use(first.use(waveform, known), known))


def _hand(name: str, use: Use) -> Tool:
    return Tool(name, use)


def _equaliser(undo: Callable[..., Waveform], most_db: float) -> Tool:
    return Tool(f"equaliser, {most_db:g} dB at most", lambda waveform, known: undo(waveform, known, most_db=most_db))


def _afftdn_at_level(waveform: Waveform, known: Parameters) -> Waveform:
    """FFmpeg's denoiser, told how loud the noise is, as one reads it off a meter in a pause."""
    power = float(np.mean(np.square(waveform.samples, dtype=np.float64)))
    noise_db = 10.0 * math.log10(power / (1.0 + 10.0 ** (float(known.get("snr_db", QUIET_SNR_DB)) / 10.0)) + 1e-20)
    return ffmpeg_filtered(waveform, [("afftdn", f"nr=24:nf={min(-20.0, max(-80.0, noise_db)):.1f}")])


_GATE = _loaded("noisereduce, stationary", lambda: libraries.load_noisereduce(stationary=True))
_MOVING_GATE = _loaded("noisereduce", libraries.load_noisereduce)
_GROOVECLEAN = _loaded("grooveclean", libraries.load_grooveclean)
_WPE = _loaded("nara_wpe", libraries.load_wpe)
_SUBTRACT = _loaded("pyroomacoustics spectral subtraction", libraries.load_spectral_subtraction)
_AFFTDN = _ffmpeg(("afftdn", ""))
_STRONG_AFFTDN = _ffmpeg(("afftdn", "nr=24:tn=1"))
_ADECLICK = _ffmpeg(("adeclick", ""))
_DENOISE = (
    Tool("ffmpeg afftdn at the level of the noise", _afftdn_at_level), _AFFTDN, _STRONG_AFFTDN, _GATE, _MOVING_GATE,
    _SUBTRACT,
)  # fmt: skip
_DECLIP = (_ours("clipping"), _ffmpeg(("adeclip", "")))
_DECLICK = (_ours("clicks"), _GROOVECLEAN, _ADECLICK)

# Speed, dynamics, lossy codecs and lost bands have no tool here that an engineer would reach for without a network.
TOOLS: Mapping[str, tuple[Tool, ...]] = MappingProxyType({
    "noise": _DENOISE,
    "environment": _DENOISE,
    "bit_depth": _DENOISE,
    "wind": (
        _hand("high-pass at the wind's corner", lambda x, known: filters.high_pass(x, float(known["corner_hz"]))),
        *_DENOISE,
    ),
    "rumble": (
        _hand(
            "high-pass above the rumble",
            lambda x, known: filters.high_pass(x, float(known["center_hz"]) + float(known["width_hz"])),
        ),
    ),
    "dc_offset": (_hand("mean taken off", lambda x, _: filters.without_mean(x)), _ours("dc")),
    "hum": (
        _ours("hum"),
        _hand(
            "notches at the harmonics",
            lambda x, known: filters.notches(
                x, float(known["mains_hz"]) * (1.0 + float(known["offset_share"])), int(known["num_harmonics"])
            ),
        ),
    ),
    "clicks": (*_DECLICK, _then(_GROOVECLEAN, _ADECLICK)),
    "crackle": (*_DECLICK, _then(_GROOVECLEAN, _DENOISE[0]), _then(_GROOVECLEAN, _GATE), _then(_ADECLICK, _DENOISE[0])),
    "dropouts": (_ours("gaps"),),
    "gaps": (_ours("gaps"),),
    "clipping": _DECLIP,
    "saturation": _DECLIP,
    "overdrive": _DECLIP,
    "filters": tuple(_equaliser(filters.undo_band, most_db) for most_db in (12.0, 24.0)),
    "eq": tuple(_equaliser(filters.undo_equaliser, most_db) for most_db in (12.0, 24.0)),
    "rate_crush": (
        _hand("low-pass at the edge", lambda x, known: filters.low_pass(x, 0.45 * float(known["rate_hz"]))),
    ),
    "stereo": (_hand("channels put right", lambda x, known: _channels_put_right(x, known)),),
    "reverb": (_WPE,),
    "level": (_hand("gain", lambda x, known: _gain_undone(x, known)),),
    "band_limit": (_ffmpeg(("aexciter", "")),),
})  # fmt: skip


def _channels_put_right(waveform: Waveform, known: Parameters) -> Waveform:
    mode = known["mode"]
    if mode == "imbalance":
        return filters.scaled_channels(waveform, -float(known["difference_db"]))
    if mode == "polarity":
        return filters.turned_over(waveform, int(known["channel"]))
    return filters.widened(waveform, float(known["width"])) if mode == "width" else waveform


def _gain_undone(waveform: Waveform, known: Parameters) -> Waveform:
    # Where the target was made as loud as the damage there is nothing to undo.
    return waveform.scaled(1.0 / linear_gain(known)) if known["target"] == "kept" else waveform
