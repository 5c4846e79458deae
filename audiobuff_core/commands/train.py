"""`audiobuff train`: the same as `train.py` and `python -m audiobuff_core.training`."""

import argparse
from typing import Any


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    from audiobuff_core.training.options import add_options

    made = commands.add_parser(
        "train",
        help="train a network on prepared latents",
        description="Train the restoration network on what `audiobuff prepare` left. The same as train.py and "
        "python -m audiobuff_core.training, which torchrun starts on several processes.",
    )
    add_options(made)
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train as the flags say; 0 when it is done, 3 when it was stopped and saved. Errors as `training.cli.run`."""
    from audiobuff_core.training.cli import run as run_training

    return run_training(arguments)
