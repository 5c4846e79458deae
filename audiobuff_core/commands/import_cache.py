"""`audiobuff import-cache DIR --out URL`: the original's cached latents, one way into Zarr."""

import argparse
from typing import Any


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    made = commands.add_parser(
        "import-cache",
        help="import the original's .pt latents into Zarr",
        description="Read a folder of {stem}_seg_{idx:05d}.pt files and write one latent group a stream. They are "
        "marked conditioning: unverified, as the original gave random features where X-Codec was missing and kept no "
        "record of encoders or clocks; extracting the recordings anew gives better ones.",
        epilog="examples:\n  audiobuff import-cache old_latents --out latents",
    )
    made.add_argument("folder", metavar="DIR", help="folder with the .pt files")
    made.add_argument("-o", "--out", required=True, metavar="URL", help="folder or URL of the groups")
    made.add_argument(
        "--dac_model_type",
        default="44khz",
        choices=("16khz", "24khz", "44khz"),
        help="codec of the cached latents, which decides their frame rate (default: %(default)s)",
    )
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Import and say what was imported.

    Raises:
        DataMissing: no cached latents there.
        StoreMismatch: a file is none, or not like the others.
        OutputNotWritable: the place can't be written.
    """
    from audiobuff_core.data.legacy_cache import import_cache
    from audiobuff_core.progress import show_progress

    with show_progress():
        groups = import_cache(arguments.folder, arguments.out, dac_model_type=arguments.dac_model_type)
    num_records = len(groups["target"].record_ids)
    print(f"Imported {num_records} segments from {arguments.folder}, conditioning unverified:")
    for stream, group in groups.items():
        print(f"  {stream:<9} {group.dim:>5} wide, {float(group.rate):8.3f} frames a second: {group.path}")
    return 0
