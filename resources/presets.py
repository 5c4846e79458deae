"""Presets: sizes of everything in one word, which the launchpad shows as defaults."""

import os
import re
from dataclasses import dataclass

from audiobuff_core.errors import InvalidConfig
from resources.automation import number_of

PRESET_VARIABLE = "AUDIOBUFF_PRESET"
START_VARIABLE = "AUDIOBUFF_START_FROM"
DEVICE_VARIABLE = "AUDIOBUFF_DEVICE"
PROCESSES_VARIABLE = "AUDIOBUFF_PROCESSES"
CHAMPION = "champion"
"""What to start from, for the champion of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What the configurable assets do unless the launchpad says otherwise.

    Attributes:
        profile: of training (`audiobuff train --help`).
        recipe: damage that is trained on.
        variants: damaged versions of each track.
        clip_seconds: length of a held-out clip.
        max_clips: held-out clips a kind of damage.
    """

    profile: str
    recipe: str
    variants: int
    clip_seconds: float
    max_clips: int


PRESETS: dict[str, Preset] = {
    "demo": Preset(profile="demo", recipe="demo", variants=2, clip_seconds=4.0, max_clips=8),
    "test": Preset(profile="test", recipe="demo", variants=1, clip_seconds=1.0, max_clips=2),
    "smoke": Preset(profile="smoke", recipe="audiobuff", variants=1, clip_seconds=4.0, max_clips=4),
    "poc": Preset(profile="poc", recipe="audiobuff", variants=2, clip_seconds=6.0, max_clips=16),
    "full": Preset(profile="full", recipe="audiobuff", variants=4, clip_seconds=10.0, max_clips=64),
}


def chosen_preset() -> Preset:
    """The preset that the variable AUDIOBUFF_PRESET names; `demo` where it is not set.

    Raises:
        InvalidConfig: it names none.
    """
    name = os.environ.get(PRESET_VARIABLE, "") or "demo"
    if name not in PRESETS:
        raise InvalidConfig(f"{PRESET_VARIABLE} is {name!r}: expected one of {', '.join(PRESETS)}")
    return PRESETS[name]


def chosen_start() -> str:
    """What training begins with unless the launchpad says otherwise: the variable AUDIOBUFF_START_FROM, or nothing."""
    return os.environ.get(START_VARIABLE, "")


def chosen_encoder(role: str) -> str:
    """The encoder of a `role` unless the launchpad says otherwise: AUDIOBUFF_CODEC, _STRUCTURE or _SEMANTIC."""
    return os.environ.get(f"AUDIOBUFF_{role.upper()}", "") or "builtin"


def chosen_processes() -> int:
    """How many ranks train unless the launchpad says otherwise: the variable AUDIOBUFF_PROCESSES, or one."""
    return int(number_of(PROCESSES_VARIABLE, 1, least=1))


def chosen_device() -> str:
    """What restores unless the launchpad says otherwise: the variable AUDIOBUFF_DEVICE, or the CPU.

    Raises:
        InvalidConfig: it names no device.
    """
    device = os.environ.get(DEVICE_VARIABLE, "") or "cpu"
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", device):
        raise InvalidConfig(f"{DEVICE_VARIABLE} is {device!r}: expected cpu, mps, cuda or such as cuda:1")
    return device
