"""What `audiobuff degrade --list` prints."""

from audiobuff_core.degradation.kinds import KINDS_TABLE, STAGES
from audiobuff_core.degradation.recipe import (
    NOISES_FILE,
    ORIGINAL_FILE,
    TABLE_FILE,
    Entry,
    load_recipe,
    with_original,
)


def kinds_in_words() -> str:
    """Every kind by its stage, with every way in which the recipes draw it, their weights and their ranges."""
    table, noises = (load_recipe(str(file)).entries for file in (TABLE_FILE, NOISES_FILE))
    drawn = {entry.name: f"weight {entry.weight:g}" for entry in table}
    drawn |= {entry.name: f"weight {entry.weight:g} with --noises" for entry in noises}
    entries = with_original((*table, *noises))
    lines = []
    for stage in STAGES:
        lines.append(f"{stage}")
        for kind, facts in KINDS_TABLE.items():
            if facts.stage != stage:
                continue
            lines.append(f"  {kind}: {facts.summary}")
            lines += [
                f"    {entry.name}, {drawn.get(entry.name, 'in the recipe seed')}: {_ranges(entry)}"
                for entry in entries
                if entry.kind == kind
            ]
    lines += ["", f"Recipes to copy and edit: {TABLE_FILE}, {ORIGINAL_FILE}, {NOISES_FILE}"]
    return "\n".join(lines)


def _ranges(entry: Entry) -> str:
    return ", ".join(f"{name} {one.in_words()}" for name, one in entry.parameters.items() if name != "folder")
