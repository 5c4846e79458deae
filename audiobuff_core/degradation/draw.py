"""Drawing the faults of a recipe, and what follows from their parameters."""

import json
import math

import numpy as np

from audiobuff_core.degradation.faults.environment import choose_files
from audiobuff_core.degradation.kinds import KINDS_TABLE, STAGES
from audiobuff_core.degradation.ranges import Parameters
from audiobuff_core.degradation.recipe import Entry, Recipe


def draw_faults(recipe: Recipe, generator: np.random.Generator, *keys: object) -> list[tuple[str, Parameters]]:
    """Kind and parameters of every fault of one item, in the order in which they happen.

    No kind comes twice. `keys` choose the recordings of the kind `environment`, together with their names.

    Raises:
        AudioNotFound: a folder of noise has no recordings.
    """
    by_kind: dict[str, list[Entry]] = {}
    for entry in recipe.entries:
        by_kind.setdefault(entry.kind, []).append(entry)
    kinds = list(by_kind)
    if recipe.num_faults:
        weights = np.array([sum(entry.weight for entry in by_kind[kind]) for kind in kinds])
        count = int(generator.choice(len(recipe.num_faults), p=list(recipe.num_faults)))
        places = generator.choice(len(kinds), count, replace=False, p=weights / weights.sum())
        kinds = [kinds[place] for place in sorted(places)]
    if recipe.order == "stages":
        kinds = _in_stages(kinds, generator)
    return [(kind, _draw_parameters(_one_of(by_kind[kind], generator), generator, keys)) for kind in kinds]


def _in_stages(kinds: list[str], generator: np.random.Generator) -> list[str]:
    ordered: list[str] = []
    for stage in STAGES:
        members = [kind for kind in kinds if KINDS_TABLE[kind].stage == stage]
        ordered += [members[place] for place in generator.permutation(len(members))]
    return ordered


def _one_of(entries: list[Entry], generator: np.random.Generator) -> Entry:
    if len(entries) == 1:
        return entries[0]
    weights = np.array([entry.weight for entry in entries])
    shares = weights / weights.sum() if weights.any() else None
    return entries[int(generator.choice(len(entries), p=shares))]


def _draw_parameters(entry: Entry, generator: np.random.Generator, keys: tuple[object, ...]) -> Parameters:
    domains = KINDS_TABLE[entry.kind].parameters
    drawn: Parameters = {}
    # What others depend on stands first in the table of kinds, and is drawn first.
    for name, domain in domains.items():
        if name not in entry.parameters or (domain.when and drawn.get(domain.when[0]) not in domain.when[1]):
            continue
        if domain.each in drawn:
            for number in range(1, int(drawn[domain.each]) + 1):
                drawn[f"{name}_{number}"] = entry.parameters[name].draw(generator)
        else:
            drawn[name] = entry.parameters[name].draw(generator)
    return drawn | _following(entry.kind, drawn, keys)


def _following(kind: str, drawn: Parameters, keys: tuple[object, ...]) -> Parameters:
    """What a reader of the row, or the fault itself, wants to know besides what was drawn."""
    if kind == "wow_flutter":
        seconds = float(drawn["depth_percent"]) / 100.0 / (2.0 * math.pi * float(drawn["rate_hz"]))
        return {"displacement_ms": round(1000.0 * seconds, 5)}
    if kind == "environment":  # a folder may have fewer recordings than voices were drawn
        chosen = choose_files(str(drawn["folder"]), int(drawn["voices"]), *keys)
        return {"voices": len(chosen), "files": json.dumps(chosen)}
    return {}
