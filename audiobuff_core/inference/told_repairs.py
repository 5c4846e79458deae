"""The repairs of a report as people are told of them."""

import math
from collections.abc import Mapping
from typing import Any, Final

KINDS_IN_WORDS: Final[Mapping[str, str]] = {
    "hum": "Mains hum taken out", "noise": "Steady noise taken away", "clicks": "Click replaced",
    "clipping": "Clipped peaks rebuilt", "rumble": "Rumble taken out", "low_noise": "Low noise taken out",
    "quantisation": "Coarse steps smoothed",
    "sample_hold": "Held samples joined", "lost_band": "Lost band filled",
    "gaps": "Gap filled", "dc": "Offset taken out", "polarity": "Channel turned over",
    "dead_channel": "Dead channel revived", "network": "Restored by the network",
}  # fmt: skip
# The shortest time in which a change is heard by its level: a click of 1 ms counts a fiftieth of this.
HEARD_SECONDS = 0.05


def in_words(kind: str) -> str:
    """What a repair of that kind did."""
    return KINDS_IN_WORDS.get(kind, kind.replace("_", " ").capitalize())


def heard_size(repair: Mapping[str, Any]) -> float:
    """The size of a repair in dB, less where it is too short to be heard by its level."""
    seconds = repair["end_seconds"] - repair["start_seconds"]
    return float(repair["size_db"]) + 10 * math.log10(min(1.0, max(seconds, 1e-5) / HEARD_SECONDS))


def clock(seconds: float) -> str:
    """`seconds` as minutes and seconds, such as 1:32.45."""
    minutes, rest = divmod(round(seconds, 2), 60)
    return f"{int(minutes)}:{rest:05.2f}"


def length_in_words(seconds: float) -> str:
    """Such as 2.5 s or 12 ms."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def channels_in_words(rows: list[int], channels: int) -> str:
    """Which of so many channels; nothing if it is all of them."""
    if channels == 1 or len(rows) == channels:
        return ""
    names = ("left", "right") if channels == 2 else tuple(f"channel {row + 1}" for row in range(channels))
    return ", ".join(names[row] for row in rows)


def counted(report: Mapping[str, Any]) -> dict[str, int]:
    """How many repairs of each kind a report lists."""
    return {kind: sum(one["kind"] == kind for one in report["repairs"]) for kind in report["detected"]}
