"""`audiobuff inspect CHECKPOINT`: says what a checkpoint or export is."""

import argparse
import json
from typing import Any


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    made = commands.add_parser(
        "inspect",
        help="say what a checkpoint is",
        description="Say what a checkpoint is: of this project or of the original, training checkpoint or export. "
        "Nothing in it is run.",
        epilog="examples:\n"
        "  audiobuff inspect checkpoints/checkpoint_best.pt\n"
        "  audiobuff inspect s3://team/models/june --json",
    )
    made.add_argument("checkpoint", metavar="CHECKPOINT", help="a .pt file, an export folder, or a URL of either")
    made.add_argument("--n_heads", type=int, help="attention heads of an original checkpoint that does not say them")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the description.

    Raises:
        CheckpointNotFound: nothing is there.
        InvalidCheckpoint: it is no whole checkpoint.
    """
    from audiobuff_core.commands.describe import describe, lines_of
    from audiobuff_core.inference.loading import load_checkpoint

    facts = describe(load_checkpoint(arguments.checkpoint, n_heads=arguments.n_heads))
    print(json.dumps(facts, indent=1, default=str) if arguments.json else "\n".join(lines_of(facts)))
    return 0
