"""`python -m audiobuff_core.training`, also under torchrun: trains, resumes by itself, exports what it learned."""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from audiobuff_core.command_parser import CommandParser
from audiobuff_core.errors import AudioBuffError
from audiobuff_core.progress import show_progress
from audiobuff_core.training.config import TrainingConfig, config_for, training_key
from audiobuff_core.training.options import add_options
from audiobuff_core.training.original_flags import adopt_checkpoint, take_original_flags

if TYPE_CHECKING:
    from audiobuff_core.models.stored import StoredWeights
    from audiobuff_core.training.distributed import Ranks

__all__ = ["main", "parser", "run", "training_key"]

EXIT_FAILED, EXIT_INTERRUPTED = 1, 3
OnLog = Callable[[dict[str, Any]], None]


def parser() -> argparse.ArgumentParser:
    """The command line; options left out come from the profile."""
    made = CommandParser(
        prog="python -m audiobuff_core.training",
        description="Train the restoration network on a snapshot of latents. Run again, it resumes where it stopped.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(made)
    return made


def main(argv: Sequence[str] | None = None, *, on_log: OnLog | None = None) -> int:
    """Train as `argv` says; the exit code.

    Args:
        argv: arguments after the program's name; None takes those of the process.
        on_log: told each row of the log as it is added, on rank 0.

    Returns:
        0 when training is done, 1 after an error (one line on standard error), 3 after SIGINT or SIGTERM.
    """
    arguments = parser().parse_args(argv)
    try:
        return run(arguments, on_log=on_log)
    except AudioBuffError as error:
        if arguments.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED


def run(arguments: argparse.Namespace, *, on_log: OnLog | None = None) -> int:
    """Train as the parsed flags say; 0 when it is done, 3 after SIGINT or SIGTERM.

    Raises:
        AudioBuffError: of many kinds; its text is one line.
    """
    given = {name: value for name, value in vars(arguments).items() if name not in ("run", "command", "debug")}
    names = ("checkpoint_dir", "profile", "init_from", "device", "dry_run", "tensorboard")
    folder, profile, init_from, device, dry_run, tensorboard = (given.pop(name) for name in names)
    snapshot, resume_path = take_original_flags(given)
    start, resume_path = _start(init_from, resume_path, given.get("n_heads"))
    if start is not None:
        from audiobuff_core.training.start import options_from

        given = options_from(start, given)
    config = config_for(profile, given)
    from audiobuff_core.training.distributed import joined_ranks

    try:
        with joined_ranks(device) as ranks, show_progress() if ranks.is_first else nullcontext():
            if dry_run:
                _print_plan(config, snapshot, ranks)
                return 0
            if resume_path is not None:
                if ranks.is_first:
                    adopt_checkpoint(resume_path, folder)
                ranks.wait()
            _train(config, profile, snapshot, folder, ranks, start, on_log, tensorboard=tensorboard)
    except KeyboardInterrupt as interruption:
        print(f"interrupted: {interruption}", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _start(
    init_from: str | None, resume_path: str | None, n_heads: int | None
) -> tuple["StoredWeights | None", str | None]:
    """The weights to begin with, and the checkpoint to go on from.

    The original's checkpoints say too little to go on from, so `--resume_path` to one begins with its weights.
    """
    if init_from is None and resume_path is None:
        return None, None
    from audiobuff_core.models.checkpoint_file import read_plain
    from audiobuff_core.models.stored import read_weights

    if init_from is not None:
        return read_weights(init_from, n_heads=n_heads), resume_path
    assert resume_path is not None
    if "schema_version" in read_plain(resume_path):
        return None, resume_path
    return read_weights(resume_path, n_heads=n_heads), None


def _print_plan(config: TrainingConfig, snapshot: str, ranks: "Ranks") -> None:
    from audiobuff_core.training.plan import plan_lines

    if ranks.is_first:
        print("\n".join(plan_lines(config, snapshot, ranks)))


def _train(
    config: TrainingConfig,
    profile: str,
    snapshot: str,
    folder: str,
    ranks: "Ranks",
    start: "StoredWeights | None",
    on_log: OnLog | None,
    *,
    tensorboard: bool,
) -> None:
    from audiobuff_core.training.run import train

    def told(row: dict[str, Any]) -> None:
        for listener in listeners:
            listener(row)

    listeners = [] if on_log is None else [on_log]
    board = None
    if tensorboard and ranks.is_first:
        from audiobuff_core.training.storage import CheckpointFolder
        from audiobuff_core.training.tensorboard import TensorBoardLog

        board = TensorBoardLog(folder, last_step=CheckpointFolder(folder).last_step() or 0)
        listeners.append(board.add)
    try:
        done = train(
            config,
            profile=profile,
            snapshot_url=snapshot,
            folder_url=folder,
            ranks=ranks,
            on_log=told,
            start=start,
            plot=True,
        )
    finally:
        if board is not None:
            board.close()
    if ranks.is_first:
        judged = "" if done["val_loss"] is None else f"validation loss {done['val_loss']:.4g}, "
        print(f"Trained {done['steps']} steps, {judged}{done['skipped_steps']} skipped; the model is in {folder}")
