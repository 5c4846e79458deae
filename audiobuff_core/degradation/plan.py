"""Drawing damage as a table: one row a track and variant, with every parameter in it, before any audio is touched."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiobuff_core.degradation import ranges
from audiobuff_core.degradation.draw import draw_faults
from audiobuff_core.degradation.ranges import Draw, Parameters
from audiobuff_core.degradation.recipe import load_recipe, recipe_key
from audiobuff_core.seeding import digest, numpy_generator

KINDS: dict[str, Draw] = {
    "noise": ranges.noise,
    "hum": ranges.hum,
    "clicks": ranges.clicks,
    "clipping": ranges.clipping,
    "band_limit": ranges.band_limit,
    "gaps": ranges.gaps,
    "mp3": ranges.mp3,
    "reverb": ranges.reverb,
}
SEED_STAGES: tuple[tuple[str, Draw], ...] = (
    ("filters", ranges.filters),
    ("overdrive", ranges.overdrive),
    ("noise", ranges.white_noise),
)
# What the demo trains on: mostly the original's recipe, every single kind, and clean items to learn identity from.
DEMO_SHARES = {"seed": 0.60, **dict.fromkeys(KINDS, 0.32 / len(KINDS)), "clean": 0.08}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and all that decides how it sounds; times, rates and levels carry their unit in the key."""

    kind: str
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class PlanRow:
    """The damage of one variant of one track: enough, with the clean audio, to make the damaged audio again.

    Attributes:
        track_id: whose damage; decides nothing.
        audio_hash: content hash of the clean audio.
        variant: 0, 1, ...
        recipe: the recipe it was drawn by.
        seed: the seed it was drawn with.
        faults: in the order in which they happen; none for a clean pass-through.
    """

    track_id: str
    audio_hash: str
    variant: int
    recipe: str
    seed: int
    faults: tuple[Fault, ...]

    def as_dict(self) -> dict[str, Any]:
        """The row as JSON values."""
        return {
            "track_id": self.track_id,
            "audio_hash": self.audio_hash,
            "variant": self.variant,
            "recipe": self.recipe,
            "seed": self.seed,
            "faults": [{"kind": fault.kind, "parameters": fault.parameters} for fault in self.faults],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PlanRow":
        """The row that `as_dict` described."""
        faults = tuple(Fault(fault["kind"], dict(fault["parameters"])) for fault in values["faults"])
        names = ("track_id", "audio_hash", "variant", "recipe", "seed")
        return cls(**{name: values[name] for name in names}, faults=faults)


def recipe_names() -> tuple[str, ...]:
    """The recipes that models are trained and judged by, whose draws never change.

    `seed` (the original's), one for each of eight kinds of damage, `clean`, and `demo`, a mixture of these. Besides
    them `draw_row` takes `audiobuff` (the whole table), any kinds of it, and recipes in files.
    """
    return ("seed", *KINDS, "clean", "demo")


def recipe_identity(recipe: str) -> str:
    """What decides a recipe's draws, for a digest: its name, and of recipes that are data their content too.

    Raises:
        InvalidConfig: there is no such recipe, or its file has problems.
    """
    return recipe if recipe in recipe_names() else f"{recipe_key(recipe)} {digest(repr(load_recipe(recipe)))}"


def draw_row(track_id: str, audio_hash: str, *, recipe: str, seed: int, variant: int) -> PlanRow:
    """The damage of variant `variant`: a pure function of seed, audio_hash, variant and recipe.

    The recipe is one of `recipe_names`, `audiobuff`, kinds of it such as `wind` or `eq:tilt+hum`, or the path of a TOML
    file, of which content and stem count, not the folder. Neither the track's name nor any other track has a say, so
    adding a file never changes another file's damage.

    Raises:
        InvalidConfig: there is no such recipe, or its file has problems.
    """
    keys = (seed, audio_hash, variant, recipe_key(recipe))
    generator = numpy_generator("plan", *keys)
    if recipe in recipe_names():
        faults = _draw_faults(recipe, generator)
    else:
        faults = tuple(Fault(*pair) for pair in draw_faults(load_recipe(recipe), generator, *keys))
    return PlanRow(track_id, audio_hash, variant, recipe, seed, faults)


def _draw_faults(recipe: str, generator: np.random.Generator) -> tuple[Fault, ...]:
    if recipe == "demo":
        chosen = generator.choice(list(DEMO_SHARES), p=list(DEMO_SHARES.values()))
        return _draw_faults(str(chosen), generator)
    if recipe == "clean":
        return ()
    if recipe == "seed":
        return tuple(Fault(kind, draw(generator)) for kind, draw in SEED_STAGES)
    return (Fault(recipe, KINDS[recipe](generator)),)
