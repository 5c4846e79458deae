"""`audiobuff prepare`: the original's `prepare_latents` under another name."""

import argparse
from typing import Any


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    from audiobuff_core.data.prepare_latents import add_options

    made = commands.add_parser(
        "prepare",
        help="damage a folder of recordings and extract the latents that training needs",
        description="The same as python -m audiobuff_core.data.prepare_latents. Run again, it goes on from what is "
        "finished.",
        epilog="examples:\n"
        "  audiobuff prepare --source_dir music --codec builtin --structure builtin --semantic builtin\n"
        "  audiobuff prepare --source_dir music --out_dir s3://bucket/latents --recipe audiobuff --variants 3\n"
        "  audiobuff prepare --source_dir music     by DAC, X-Codec and AudioMAE, once fetch-weights has got them",
    )
    add_options(made)
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prepare as the flags say; errors as `prepare_latents.prepare`."""
    from audiobuff_core.data.prepare_latents import run as run_prepare

    return run_prepare(arguments)
