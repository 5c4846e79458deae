"""Recipes as data: which faults, how often, and with which parameters; read from TOML, checked as a whole."""

import functools
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from audiobuff_core.degradation.distribution import Distribution, Value, parse_distribution
from audiobuff_core.degradation.kinds import KINDS_TABLE, ORDERED, Domain
from audiobuff_core.errors import InvalidConfig

RECIPE_FOLDER = Path(__file__).parent / "recipes"
TABLE_FILE = RECIPE_FOLDER / "audiobuff.toml"
NOISES_FILE = RECIPE_FOLDER / "environment.toml"
ORIGINAL_FILE = RECIPE_FOLDER / "seed.toml"
TABLE = "audiobuff"
ORDERS = ("stages", "written")
SUFFIX = ".toml"
TABLE_MARK = f"{TABLE}:"  # audiobuff:hum: as the table draws it, not as the recipe `hum` that models are judged by
FOLDER_MARK = "@"  # audiobuff@noises: the table, and noise from that folder


@dataclass(frozen=True, slots=True)
class Entry:
    """One way in which a kind may be drawn; `variant` is its name within the kind, `weight` how often it comes."""

    kind: str
    variant: str
    weight: float
    parameters: dict[str, Distribution]

    @property
    def name(self) -> str:
        """The kind and, if it has one, the variant: `eq:tilt`."""
        return f"{self.kind}:{self.variant}" if self.variant else self.kind


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe.

    Attributes:
        name: of it.
        description: in a few words.
        num_faults: the probabilities of 0, 1, 2, ... faults; empty: one of each kind, always.
        order: `stages` or `written`.
        entries: what may be drawn.
    """

    name: str
    description: str
    num_faults: tuple[float, ...]
    order: str
    entries: tuple[Entry, ...]


def is_recipe_path(recipe: str) -> bool:
    """Whether `recipe` names a file of the user's own."""
    return recipe.endswith(SUFFIX)


def recipe_key(recipe: str) -> str:
    """What of a recipe's name decides draws: of a file its stem, so that it may lie anywhere; no folder of noise."""
    if is_recipe_path(recipe):
        return PurePath(recipe).stem
    name, mark, _ = recipe.partition(FOLDER_MARK)
    return name + mark


def at_home(recipe: str) -> str:
    """The same recipe for whoever works in another folder: with absolute paths."""
    if is_recipe_path(recipe):
        return str(Path(recipe).absolute())
    name, mark, folder = recipe.partition(FOLDER_MARK)
    return f"{name}{mark}{Path(folder).absolute()}" if mark and folder else recipe


def load_recipe(recipe: str) -> Recipe:
    """The recipe `audiobuff`, one in a TOML file, or some kinds of the table, all of them at once: `wind+eq:tilt`.

    `audiobuff:hum` says the same as `hum`. `@FOLDER` after the name adds the kind `environment`, with the recordings
    in that folder: `audiobuff@noises`.

    Raises:
        InvalidConfig: there is no such recipe, kind or variant, or the file has faults; all of them are named.
    """
    if is_recipe_path(recipe):
        return _load_file(Path(recipe))
    wanted, mark, folder = recipe.partition(FOLDER_MARK)
    table = _load_file(TABLE_FILE)
    if mark:
        table = replace(table, entries=(*table.entries, *_noises(folder)))
    if wanted == TABLE:
        return table
    known = with_original(table.entries)
    chosen: list[Entry] = []
    unknown = []
    for name in wanted.removeprefix(TABLE_MARK).split("+"):
        found = [entry for entry in known if name in (entry.kind, entry.name)]
        chosen += [entry for entry in found if entry not in chosen]
        unknown += [] if found else [name]
    if unknown:
        kinds = dict.fromkeys(entry.kind for entry in known)
        raise InvalidConfig(
            f"Recipe or kind {', '.join(map(repr, unknown))}: expected {TABLE}, seed, clean, demo, a {SUFFIX} file, or "
            f"kinds of {', '.join(kinds)}, joined by +; environment needs a folder of noise: --noises FOLDER"
        )
    return replace(table, name=recipe, description=f"always {recipe}", num_faults=(), entries=tuple(chosen))


def with_original(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """`entries`, and those of the original's recipe whose kinds are not among them: every kind can be asked for."""
    kinds = {entry.kind for entry in entries}
    return (*entries, *(entry for entry in _load_file(ORIGINAL_FILE).entries if entry.kind not in kinds))


def _noises(folder: str) -> list[Entry]:
    """The entries of `environment` with the recordings in `folder`."""
    place = Path(folder).absolute()
    if not folder or not place.is_dir():
        raise InvalidConfig(f"Noise folder {folder!r} is no folder: name one with recordings such as .wav or .flac")
    where = Distribution("fixed", (str(place),))
    entries = _load_file(NOISES_FILE).entries
    return [replace(entry, parameters={**entry.parameters, "folder": where}) for entry in entries]


def _load_file(path: Path) -> Recipe:
    try:
        facts = path.stat()
    except OSError as error:
        raise InvalidConfig(f"Recipe {path} can't be read ({error.strerror}): check the path") from error
    return _parsed(path, facts.st_mtime_ns, facts.st_size)


@functools.lru_cache(maxsize=32)
def _parsed(path: Path, _changed_ns: int, _size_bytes: int) -> Recipe:
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidConfig(f"Recipe {path} is not TOML that can be read ({error}): correct or replace it") from error
    return parse_recipe(given, str(path), folder=path.parent)


def parse_recipe(given: dict[str, Any], origin: str, *, folder: Path) -> Recipe:
    """The recipe that TOML values describe; relative folders in it are taken from `folder`.

    Raises:
        InvalidConfig: it has problems; all of them are named, by the number and kind of the fault.
    """
    problems = _problems_of_whole(given)
    entries: list[Entry] = []
    faults = given.get("fault", [])
    for number, one in enumerate(faults if isinstance(faults, list) else [], start=1):
        entry, found = _parse_entry(one, folder)
        kind = one.get("kind", "?") if isinstance(one, dict) else "?"
        problems += [f"fault {number} ({kind}): {problem}" for problem in found]
        if entry is not None:
            entries.append(entry)
    num_faults = given.get("num_faults", "all")
    kinds = {entry.kind for entry in entries if entry.weight > 0}
    if not problems and num_faults != "all" and len(num_faults) - 1 > len(kinds):
        problems.append(f"num_faults goes to {len(num_faults) - 1}: expected at most {len(kinds)}, one of each kind")
    if problems:
        raise InvalidConfig(f"Recipe {origin} has {len(problems)} problem(s): " + "; ".join(problems))
    total = 1.0 if num_faults == "all" else float(sum(num_faults))
    shares = () if num_faults == "all" else tuple(share / total for share in num_faults)
    name, description = given.get("name", PurePath(origin).stem), given.get("description", "")
    return Recipe(name, description, shares, given.get("order", "stages"), tuple(entries))


def _problems_of_whole(given: dict[str, Any]) -> list[str]:
    """What is wrong outside the faults."""
    known = {"name", "description", "num_faults", "order", "fault"}
    problems = [f"unknown key {name!r}" for name in sorted(set(given) - known)]
    problems += [f"{key} is no word" for key in ("name", "description") if not isinstance(given.get(key, ""), str)]
    if given.get("order", "stages") not in ORDERS:
        problems.append(f"order {given['order']!r}: expected one of {', '.join(ORDERS)}")
    shares = given.get("num_faults", "all")
    if shares != "all" and not (
        isinstance(shares, list)
        and shares
        and all(_is_number(share) and share >= 0 for share in shares)
        and abs(sum(shares) - 1.0) < 1e-6
    ):
        problems.append(f'num_faults {shares!r}: expected "all", or probabilities of 0, 1, 2, ... faults with sum 1')
    if not isinstance(given.get("fault"), list) or not given["fault"]:
        problems.append("no faults: expected at least one [[fault]]")
    return problems


def _parse_entry(given: Any, folder: Path) -> tuple[Entry | None, list[str]]:  # noqa: ANN401 - what a TOML file holds
    if not isinstance(given, dict) or given.get("kind") not in KINDS_TABLE:
        return None, [f"kind is none of {', '.join(KINDS_TABLE)}"]
    kind = str(given["kind"])
    problems: list[str] = []
    weight, variant = given.get("weight", 1.0), given.get("variant", "")
    if not _is_number(weight) or weight < 0:
        problems.append(f"weight {weight!r}: expected a number, 0 or more")
    if not isinstance(variant, str) or "+" in variant or ":" in variant:
        problems.append(f"variant {variant!r}: expected a word without + and :")
    parameters: dict[str, Distribution] = {}
    for name, value in given.items():
        if name in ("kind", "weight", "variant"):
            continue
        domain = KINDS_TABLE[kind].parameters.get(name)
        distribution, problem = parse_distribution(value)
        if domain is None:
            problem = f"unknown parameter; expected {', '.join(KINDS_TABLE[kind].parameters)}"
        elif distribution is not None:
            problem = problem or _outside(distribution, domain)
            parameters[name] = distribution
        if problem:
            problems.append(f"{name}: {problem}")
    if not problems:
        problems = _missing(kind, parameters) + _wrong_way_round(kind, parameters)
    if "folder" in parameters and not problems:
        place = folder.absolute() / str(parameters["folder"].values[0])
        parameters["folder"] = Distribution("fixed", (str(place),))
        problems += [] if place.is_dir() else [f"folder {place} is no folder"]
    return (None if problems else Entry(kind, str(variant), float(weight), parameters)), problems


def _outside(distribution: Distribution, domain: Domain) -> str:
    if domain.whole and distribution.law in ("uniform", "log_uniform"):
        return "expected a whole number: draw it by integer or choice"
    return next(filter(None, map(domain.problem, distribution.extremes())), "")


def _missing(kind: str, parameters: dict[str, Distribution]) -> list[str]:
    """Parameters that some draw would need and that are not there."""
    problems = []
    for name, domain in KINDS_TABLE[kind].parameters.items():
        if name not in parameters and (domain.when is None or _possible(parameters, *domain.when)):
            reason = f" for {domain.when[0]} {'|'.join(map(str, domain.when[1]))}" if domain.when else ""
            problems.append(f"{name} is missing{reason}")
    return problems


def _possible(parameters: dict[str, Distribution], name: str, values: tuple[Value, ...]) -> bool:
    return name in parameters and bool(set(parameters[name].values) & set(values))


def _wrong_way_round(kind: str, parameters: dict[str, Distribution]) -> list[str]:
    problems = []
    for low, high in ORDERED.get(kind, ()):
        if not {low, high} <= parameters.keys():
            continue
        highest, lowest = (
            max(float(value) for value in parameters[low].extremes()),
            min(float(value) for value in parameters[high].extremes()),
        )
        if highest > lowest:
            problems.append(f"{low} may be {highest:g} and {high} {lowest:g}: expected {low} never above {high}")
    return problems


def _is_number(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
