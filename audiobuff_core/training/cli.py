"""`python -m audiobuff_core.training`, also under torchrun: trains, resumes by itself, exports what it learned."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from audiobuff_core.errors import AudioBuffError
from audiobuff_core.progress import show_progress
from audiobuff_core.training.config import PROFILE_NAMES, TrainingConfig, config_for, training_key
from audiobuff_core.training.original_flags import ORIGINAL_WIDTHS, adopt_checkpoint, take_original_flags

__all__ = ["main", "parser", "training_key"]

EXIT_FAILED, EXIT_INTERRUPTED = 1, 3


def parser() -> argparse.ArgumentParser:
    """The command line; options left out come from the profile."""
    made = argparse.ArgumentParser(
        prog="python -m audiobuff_core.training",
        description="Train the restoration network on a snapshot of latents. Run again, it resumes where it stopped.",
    )
    made.add_argument("--data_dir", default="./latents", help="what prepare_latents left (default: %(default)s)")
    made.add_argument("--snapshot", help="training snapshot (JSON) that names the latents, instead of --data_dir")
    made.add_argument("--resume_path", help="checkpoint to go on from, where --checkpoint_dir has none further")
    made.add_argument("--amp", action="store_const", const=True, help="low precision where the device has it")
    made.add_argument("--no_amp", dest="amp", action="store_const", const=False, help="the same as --precision fp32")
    for name, original in ORIGINAL_WIDTHS.items():
        made.add_argument(f"--{name}", type=int, help=f"checked against the latents (the original's: {original})")
    made.add_argument("--checkpoint_dir", default="./checkpoints", help="folder or URL of the checkpoints")
    made.add_argument("--profile", default="poc", choices=PROFILE_NAMES, help="preset of all options below")
    for field in fields(TrainingConfig):
        if field.type is bool:
            made.add_argument(f"--{field.name}", action=argparse.BooleanOptionalAction, default=None)
            continue
        kind = {"int | None": int}.get(str(field.type), field.type)
        made.add_argument(f"--{field.name}", type=kind, default=None)
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return made


def main(argv: Sequence[str] | None = None, *, on_log: Callable[[dict[str, Any]], None] | None = None) -> int:
    """Train as `argv` says; the exit code.

    Args:
        argv: arguments after the program's name; None takes those of the process.
        on_log: told each row of the log as it is added, on rank 0.

    Returns:
        0 when training is done, 1 after an error (one line on standard error), 3 after SIGINT or SIGTERM.
    """
    arguments = vars(parser().parse_args(argv))
    folder, profile, debug = (arguments.pop(name) for name in ("checkpoint_dir", "profile", "debug"))
    try:
        snapshot, resume_path = take_original_flags(arguments)
        config = config_for(profile, arguments)
        _train(config, profile, snapshot, folder, resume_path, on_log or (lambda row: None))
    except AudioBuffError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt as interruption:
        print(f"interrupted: {interruption}", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _train(
    config: TrainingConfig,
    profile: str,
    snapshot: str,
    folder: str,
    resume_path: str | None,
    on_log: Callable[[dict[str, Any]], None],
) -> None:
    from contextlib import nullcontext

    from audiobuff_core.training.distributed import joined_ranks
    from audiobuff_core.training.run import train

    with joined_ranks() as ranks, show_progress() if ranks.is_first else nullcontext():
        if resume_path is not None:
            if ranks.is_first:
                adopt_checkpoint(resume_path, folder)
            ranks.wait()
        train(config, profile=profile, snapshot_url=snapshot, folder_url=folder, ranks=ranks, on_log=on_log)
