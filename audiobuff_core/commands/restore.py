"""`audiobuff restore IN -o OUT`: repair a recording."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

FindModel = Callable[[], str | None]


def add_parser(commands: Any, champion: FindModel) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands; `champion` finds the promoted model where none is named."""
    made = commands.add_parser(
        "restore",
        help="repair a recording",
        description="Repair a recording: the same rate, channels and length, with a JSON report beside it.",
    )
    made.add_argument("input", type=Path, metavar="IN", help="damaged recording")
    made.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the repaired recording")
    made.add_argument(
        "--checkpoint", "--model", metavar="PLACE", help="a .pt file or an export (default: the promoted champion)"
    )
    made.add_argument("--steps", type=int, help="solver steps (default: what the model recommends)")
    made.add_argument("--seed", type=int, default=1337, help="of the noise (default: %(default)s)")
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=partial(run, champion=champion))


def run(arguments: argparse.Namespace, champion: FindModel) -> int:
    """Restore; 0.

    Raises:
        AudioBuffError: no model, or the recording can't be used, or the output not be written.
    """
    from audiobuff_core.commands.chosen_model import chosen_model
    from audiobuff_core.inference.restore_file import check_restorable, restore_file
    from audiobuff_core.inference.restorer import Restorer
    from audiobuff_core.progress import show_progress

    check_restorable(arguments.input, arguments.output)  # before the model is read
    place = chosen_model(arguments.checkpoint, champion)
    restorer = Restorer.load(place)
    with show_progress():
        report = restore_file(arguments.input, arguments.output, restorer, steps=arguments.steps, seed=arguments.seed)
    print(f"Restored {arguments.input} in {report['seconds']:.1f} s: {arguments.output} (model {place})")
    return 0
