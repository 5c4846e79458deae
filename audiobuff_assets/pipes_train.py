"""What torchrun starts on every rank when Dagster trains: the trainer of the core, reported by rank 0 through Pipes."""

import os
import signal
import sys
from typing import Any

from dagster_pipes import PipesContext, open_dagster_pipes

from audiobuff_core.files import join, read_json

STOPPED = 3


def main(arguments: list[str]) -> int:
    """Train; all ranks inherit the variables of Pipes, but only rank 0 may open it."""
    # Asked to stop before training has begun, or after it has ended, there is nothing to save. In between the
    # trainer listens itself.
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(STOPPED))
    from audiobuff_core.training.cli import main as train
    from audiobuff_core.training.cli import parser

    if int(os.environ.get("RANK", "0")) != 0:
        return train(arguments)
    with open_dagster_pipes() as pipes:
        code = train(arguments, on_log=lambda row: log_row(pipes, row))
        if code == 0:
            report(pipes, parser().parse_args(arguments).checkpoint_dir)
    return code


def log_row(pipes: PipesContext, row: dict[str, Any]) -> None:
    """Show a row of the training log in the run's page."""
    pipes.log.info(" ".join(f"{name}={value:.5g}" for name, value in row.items() if isinstance(value, int | float)))


def report(pipes: PipesContext, folder: str) -> None:
    """Hand over what the finished training in `folder` says of itself."""
    done = read_json(join(folder, "done.json"))
    numbers = {name: value for name, value in done.items() if isinstance(value, int | float)}
    renamed = {"loss/val" if name == "val_loss" else name: value for name, value in numbers.items()}
    pipes.report_asset_materialization(
        metadata={**renamed, "weights_sha256": done["weights_sha256"]}, data_version=done["weights_sha256"]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
