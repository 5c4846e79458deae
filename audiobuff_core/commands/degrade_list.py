"""What `audiobuff degrade --list` prints."""

from audiobuff_core.degradation.kinds import KINDS_TABLE, STAGES
from audiobuff_core.degradation.recipe import NOISES_FILE, RECIPE_FOLDER, TABLE_FILE, Entry, load_recipe

SEED_FILE = RECIPE_FOLDER / "seed.toml"


def kinds_in_words() -> str:
    """Every kind by its stage, with every way in which the recipes draw it, their weights and their ranges."""
    entries = [entry for file in (TABLE_FILE, NOISES_FILE, SEED_FILE) for entry in load_recipe(str(file)).entries]
    lines = []
    for stage in STAGES:
        lines.append(f"{stage}")
        for kind, facts in KINDS_TABLE.items():
            if facts.stage != stage:
                continue
            lines.append(f"  {kind}: {facts.summary}")
            found = [entry for entry in entries if entry.kind == kind]
            if kind == "noise":
                found = found[:-1]  # the original's is one of these
            lines += [f"    {_ranges(entry)}" for entry in found]
    lines += ["", f"Recipes to copy and edit: {TABLE_FILE}, {SEED_FILE}, {NOISES_FILE}"]
    return "\n".join(lines)


def _ranges(entry: Entry) -> str:
    ranges = ", ".join(f"{name} {one.in_words()}" for name, one in entry.parameters.items() if name != "folder")
    return f"{entry.name}, weight {entry.weight:g}: {ranges}"
