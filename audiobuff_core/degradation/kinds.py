"""Every kind of fault: its stage, and which values of its parameters make sense at all.

A recipe chooses among these values; what lies outside them can't be rendered, or would be no fault but an accident.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from audiobuff_core.degradation.distribution import Value

# The physical order: what happens first stands first.
STAGES = (
    "room", "microphone", "electrics", "medium", "recorder", "processing", "stereo", "transport", "file",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Domain:
    """What a parameter may be: numbers from `low` to `high`, whole ones where `whole`, or one of `words`.

    Attributes:
        low: the lowest number.
        high: the highest.
        whole: only whole numbers.
        words: the words, if it is no number.
        when: another parameter and the values of it for which this one is wanted; always, if empty.
        each: the parameter that says how many of these are drawn, named `<name>_1`, `<name>_2` and so on.
        any_word: any word will do, such as a path.
    """

    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    words: tuple[str, ...] = ()
    when: tuple[str, tuple[Value, ...]] | None = None
    each: str = ""
    any_word: bool = False

    def problem(self, value: Value) -> str:
        """What is wrong with `value`; empty if nothing is."""
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return f"{value!r} is neither a number nor a word"
        if self.any_word:
            return "" if isinstance(value, str) else f"{value} is no word"
        if self.words:
            return "" if value in self.words else f"{value!r} is none of {', '.join(self.words)}"
        if isinstance(value, str):
            return f"{value!r} is no number"
        if self.whole and not isinstance(value, int):
            return f"{value} is no whole number"
        return "" if self.low <= value <= self.high else f"{value} is outside {self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: the stage at which it happens, what it is in a few words, and its parameters."""

    stage: str
    summary: str
    parameters: Mapping[str, Domain] = field(default_factory=dict)


def _number(low: float, high: float, **more: object) -> Domain:
    return Domain(low, high, **more)  # type: ignore[arg-type]


def _whole(low: int, high: int, **more: object) -> Domain:
    return Domain(low, high, whole=True, **more)  # type: ignore[arg-type]


def _words(*words: str, **more: object) -> Domain:
    return Domain(words=words, **more)  # type: ignore[arg-type]


def _mode(*values: str) -> tuple[str, tuple[Value, ...]]:
    return ("mode", values)


def _codec(*values: str) -> tuple[str, tuple[Value, ...]]:
    return ("codec", values)


RATIO = _number(-40, 100)
_FILTERS = ("butterworth", "chebyshev", "elliptic", "bessel")

KINDS_TABLE: dict[str, Kind] = {
    "reverb": Kind("room", "a room around the recording", {
        "rt60_seconds": _number(0.05, 10), "length_m": _number(1, 100), "width_m": _number(1, 100),
        "height_m": _number(1, 50),
        **{f"{what}_{axis}": _number(0.01, 0.99) for what in ("source", "microphone") for axis in "xyz"},
    }),
    "noise": Kind("room", "steady noise of any colour", {
        "color": _words("white", "pink", "brown", "blue", "slope", "band"), "snr_db": RATIO,
        "slope_db_per_octave": _number(-24, 24, when=("color", ("slope",))),
        "low_hz": _number(1, 100_000, when=("color", ("band",))),
        "high_hz": _number(1, 400_000, when=("color", ("band",))),
    }),
    "environment": Kind("room", "noise or babble from a folder of your own recordings", {
        "folder": Domain(any_word=True), "voices": _whole(1, 16), "start_share": _number(0, 1), "snr_db": RATIO,
    }),
    "wind": Kind("room", "wind in gusts, the music ducking under it", {
        "snr_db": RATIO, "corner_hz": _number(10, 5000), "gusts_hz": _number(0.01, 20), "calm_db": _number(-80, 0),
        "duck_db": _number(0, 60),
    }),
    "eq": Kind("microphone", "a wrong tone: tilt, bumps, shelf, notch or a small device", {
        "mode": _words("tilt", "peaks", "shelf", "notch", "device"),
        "slope_db_per_octave": _number(-12, 12, when=_mode("tilt")),
        "num_peaks": _whole(1, 40, when=_mode("peaks")),
        "peak_hz": _number(10, 100_000, when=_mode("peaks"), each="num_peaks"),
        "peak_db": _number(-40, 40, when=_mode("peaks"), each="num_peaks"),
        "quality": _number(0.1, 30, when=_mode("peaks", "notch"), each="num_peaks"),
        "side": _words("low", "high", when=_mode("shelf")),
        "corner_hz": _number(10, 100_000, when=_mode("shelf")),
        "gain_db": _number(-40, 40, when=_mode("shelf")),
        "notch_hz": _number(10, 100_000, when=_mode("notch")), "depth_db": _number(0, 60, when=_mode("notch")),
        "device": _words("phone", "laptop", "small_speaker", "headset", when=_mode("device")),
        "amount": _number(0, 2, when=_mode("device")),
    }),
    "dc_offset": Kind("microphone", "a constant offset", {"offset": _number(-1, 1)}),
    "rumble": Kind("microphone", "rumble below the music", {
        "center_hz": _number(1, 500), "width_hz": _number(0.5, 500), "snr_db": RATIO,
    }),
    "hum": Kind("electrics", "mains hum and its harmonics", {
        "mains_hz": _number(10, 500), "offset_share": _number(-0.05, 0.05), "drift_share": _number(0, 0.05),
        "drift_hz": _number(0.001, 10), "num_harmonics": _whole(1, 60), "level_dbfs": _number(-120, 0),
    }),
    "clicks": Kind("medium", "clicks and pops", {
        "rate_hz": _number(0.001, 1000), "shortest_ms": _number(0.01, 50), "longest_ms": _number(0.01, 50),
        "lowest_db": _number(-20, 60), "highest_db": _number(-20, 60),
    }),
    "crackle": Kind("medium", "the crackle and hiss of a worn record", {
        "snr_db": RATIO, "rate_hz": _number(0.1, 5000), "hiss_share": _number(0, 0.99),
    }),
    "wow_flutter": Kind("medium", "a speed that sways", {
        "rate_hz": _number(0.05, 200), "depth_percent": _number(0, 5),
    }),
    "dropouts": Kind("medium", "moments of low level", {
        "rate_hz": _number(0.001, 100), "shortest_ms": _number(0.1, 5000), "longest_ms": _number(0.1, 5000),
        "lowest_db": _number(-200, 0), "highest_db": _number(-200, 0), "fade_share": _number(0, 1),
    }),
    "clipping": Kind("recorder", "peaks cut off", {
        "mode": _words("quantile", "peak", "soft"), "low_quantile": _number(0, 0.5, when=_mode("quantile")),
        "high_quantile": _number(0.5, 1, when=_mode("quantile")),
        "peak_divisor": _number(1, 100, when=_mode("peak")), "drive": _number(0.01, 100, when=_mode("soft")),
    }),
    "saturation": Kind("recorder", "overdrive that bends before it cuts", {
        "curve": _words("tanh", "arctan", "cubic", "exponential", "hard"), "drive": _number(0.01, 100),
        "bias": _number(-0.9, 0.9),
    }),
    "overdrive": Kind("recorder", "the original's overdrive", {
        "drive": _number(0.01, 100), "limit": _number(0.01, 100), "before": _words("peak_to_1"),
        "after": _words("undo_drive"),
    }),
    "filters": Kind("recorder", "the original's high-pass and low-pass", {
        "highpass_hz": _number(1, 400_000), "lowpass_hz": _number(1, 400_000), "quality": _number(0.1, 30),
    }),
    "bit_depth": Kind("recorder", "few bits", {"bits": _whole(1, 24), "dither": _words("none", "triangular")}),
    "rate_crush": Kind("recorder", "a lower sample rate, with aliasing", {
        "rate_hz": _whole(100, 768_000), "output": _words("hold", "smooth"),
    }),
    "compressor": Kind("processing", "too much compression or limiting", {
        "threshold_db": _number(-90, 0), "ratio": _number(1, 1000), "attack_ms": _number(0, 1000),
        "release_ms": _number(0, 5000), "makeup": _words("rms", "none"),
    }),
    "softening": Kind("processing", "attacks without their edge", {
        "depth_db": _number(0, 60), "recovery_ms": _number(1, 1000),
    }),
    "over_suppression": Kind("processing", "a spectral gate that leaves musical noise", {
        "gated_share": _number(0, 0.99), "reduction_db": _number(0, 120), "jitter_db": _number(0, 20),
        "window_ms": _number(2, 200),
    }),
    "stereo": Kind("stereo", "collapsed, narrow, leaning, or a channel turned over; nothing on mono", {
        "mode": _words("mono", "width", "imbalance", "polarity"), "width": _number(0, 1, when=_mode("width")),
        "difference_db": _number(-60, 60, when=_mode("imbalance")), "channel": _whole(0, 63, when=_mode("polarity")),
    }),
    "band_limit": Kind("transport", "everything above an edge lost", {
        "bandwidth_hz": _number(100, 400_000), "family": _words("sinc", "polyphase", "stft_mask", *_FILTERS),
        "order": _whole(1, 12, when=("family", _FILTERS)),
        "ripple_db": _number(0.01, 6, when=("family", ("chebyshev", "elliptic"))),
    }),
    "gaps": Kind("transport", "lost packets, or longer gaps", {
        "mode": _words("packets", "gaps"), "packet_ms": _number(1, 1000, when=_mode("packets")),
        "lost_share": _number(0, 1, when=_mode("packets")), "mean_burst": _number(1, 100, when=_mode("packets")),
        "longest_burst": _whole(1, 1000, when=_mode("packets")), "num_gaps": _whole(1, 100, when=_mode("gaps")),
        "gap_seconds": _number(0.001, 60, when=_mode("gaps")), "most_share": _number(0.001, 1, when=_mode("gaps")),
    }),
    "mp3": Kind("file", "MP3 of a constant bit rate", {
        "bit_rate": _whole(8_000, 320_000), "generations": _whole(1, 10),
    }),
    "codec": Kind("file", "another lossy codec", {
        "codec": _words("mp3_vbr", "vorbis", "opus", "aac", "gsm", "mu_law", "a_law"), "generations": _whole(1, 10),
        "quality": _number(0, 1, when=_codec("mp3_vbr", "vorbis")),
        "bit_rate": _whole(6_000, 256_000, when=_codec("opus", "aac")),
    }),
    "level": Kind("file", "the wrong level", {
        "gain": _number(1e-5, 100), "jitter_db": _number(-60, 60), "target": _words("scaled", "kept"),
    }),
}  # fmt: skip
# Pairs that must not be the wrong way round, whatever is drawn.
ORDERED: dict[str, tuple[tuple[str, str], ...]] = {
    "clicks": (("shortest_ms", "longest_ms"), ("lowest_db", "highest_db")),
    "dropouts": (("shortest_ms", "longest_ms"), ("lowest_db", "highest_db")),
    "noise": (("low_hz", "high_hz"),),
}


def problems_of(kind: str, parameters: Mapping[str, Value]) -> list[str]:
    """What is wrong with a fault that was drawn: an unknown kind, and parameters that are missing or can't be."""
    if kind not in KINDS_TABLE:
        return [f"kind {kind!r} is none of {', '.join(KINDS_TABLE)}"]
    problems = []
    for name, domain in KINDS_TABLE[kind].parameters.items():
        if domain.when and parameters.get(domain.when[0]) not in domain.when[1]:
            continue
        count = parameters.get(domain.each) if domain.each else None
        names = [f"{name}_{number}" for number in range(1, count + 1)] if isinstance(count, int) else [name]
        found = {one: domain.problem(parameters[one]) if one in parameters else "is missing" for one in names}
        problems += [f"{kind} {one}: {problem}" for one, problem in found.items() if problem]
    return problems
