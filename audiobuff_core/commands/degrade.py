"""`audiobuff degrade IN OUT`: damage recordings on purpose, by a recipe, and write down how."""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from audiobuff_core.errors import InvalidConfig

EXIT_FAILED = 1
SEED = 1337


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    made = commands.add_parser(
        "degrade",
        help="damage a recording, or a folder of them, on purpose",
        description="Draw damage by a recipe from the seed and the content of each recording, render it, and write "
        "the row that decides every bit of it beside the output, as JSON. Formats and names are kept.",
        epilog="examples:\n"
        "  audiobuff degrade --list                               every kind of damage, with its ranges\n"
        "  audiobuff degrade song.flac worse.flac                 something from the whole table\n"
        "  audiobuff degrade song.flac worse.flac --kinds hum,clipping:peak\n"
        "  audiobuff degrade music/ damaged/ --recipe mine.toml   a folder, by your own recipe\n"
        "  audiobuff degrade song.flac kinds/ --each              one of each kind, with a page to hear them",
    )
    made.add_argument("input", nargs="?", type=Path, metavar="IN", help="a recording, or a folder with recordings")
    made.add_argument("output", nargs="?", type=Path, metavar="OUT", help="a file for a file, a folder for a folder")
    made.add_argument(
        "--recipe",
        metavar="R",
        help="audiobuff (the whole table, the default), seed, clean, demo, or the path of your own TOML file",
    )
    made.add_argument("--kinds", metavar="A,B", help="exactly these kinds, such as hum,eq:tilt, instead of a recipe")
    made.add_argument(
        "--noises",
        metavar="FOLDER",
        help="noise and babble from your own recordings in this folder too, as the kind environment",
    )
    made.add_argument("--row", type=Path, metavar="JSON", help="render the row in this file again, bit for bit")
    made.add_argument("--seed", type=int, help=f"changes every draw (default: {SEED})")
    made.add_argument("--variant", type=int, help="another draw of the same seed (default: 0)")
    made.add_argument("--plan-only", action="store_true", help="write the rows and no audio")
    made.add_argument("--list", action="store_true", help="print every kind with its ranges, and do nothing else")
    made.add_argument("--each", action="store_true", help="render every kind of one file, with a page to hear and see")
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for; 1 if a recording of a folder could not be damaged.

    Raises:
        AudioBuffError: the options make no sense, the recipe has problems, or the one input can't be used.
    """
    if arguments.list:
        from audiobuff_core.commands.degrade_list import kinds_in_words

        print(kinds_in_words())
        return 0
    _check(arguments)
    seed, variant = SEED if arguments.seed is None else arguments.seed, arguments.variant or 0
    if arguments.each:
        from audiobuff_core.commands.degrade_each import degrade_each

        print(
            degrade_each(
                arguments.input,
                arguments.output,
                seed=seed,
                variant=variant,
                noises=arguments.noises,
            )
        )
        return 0
    from audiobuff_core.commands.degrade_files import Damage, degrade_folder, degrade_one, destination_of

    damage = Damage(_recipe(arguments), seed, variant, arguments.row, arguments.plan_only)
    if not arguments.input.is_dir():
        print(degrade_one(arguments.input, destination_of(arguments.input, arguments.output), damage))
        return 0
    outcome = degrade_folder(arguments.input, arguments.output, damage)
    for path, reason in outcome.refused:
        print(f"left out: {path!r}: {reason}", file=sys.stderr)
    print(f"{outcome.num_done} recordings to {arguments.output}, {len(outcome.refused)} left out")
    return EXIT_FAILED if outcome.refused else 0


def _check(arguments: argparse.Namespace) -> None:
    problems = []
    if arguments.input is None or arguments.output is None:
        problems.append("expected IN and OUT (or --list)")
    chosen = [name for name in ("recipe", "kinds", "row", "each") if getattr(arguments, name) not in (None, False)]
    if len(chosen) > 1:
        problems.append(f"--{' and --'.join(chosen)} exclude each other")
    if arguments.each and arguments.plan_only:
        problems.append("--each renders: it does not go with --plan-only")
    if arguments.noises and (arguments.row or arguments.recipe not in (None, "audiobuff")):
        problems.append("--noises adds to the recipe audiobuff or to --kinds: your own recipe names its folder itself")
    if arguments.noises and arguments.kinds and "environment" not in re.split("[,:]", arguments.kinds):
        problems.append(f"--noises is heard by the kind environment: --kinds {arguments.kinds},environment")
    if arguments.row and not (arguments.seed is arguments.variant is None):
        problems.append("--row has its own seed and variant: leave out --seed and --variant")
    if (arguments.variant or 0) < 0:
        problems.append(f"--variant {arguments.variant}: expected 0 or more")
    if problems:
        raise InvalidConfig("audiobuff degrade: " + "; ".join(problems))


def _recipe(arguments: argparse.Namespace) -> str:
    """The recipe asked for; kinds and a folder of noise are joined as recipes are named."""
    from audiobuff_core.degradation.recipe import FOLDER_MARK, TABLE_MARK

    name = str(arguments.recipe or "audiobuff")
    if arguments.kinds is not None:
        name = TABLE_MARK + "+".join(kind.strip() for kind in str(arguments.kinds).split(","))
    return f"{name}{FOLDER_MARK}{arguments.noises}" if arguments.noises else name
