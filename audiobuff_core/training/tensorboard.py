"""The training log for TensorBoard, beside the one that is always written."""

from typing import Any

from audiobuff_core.errors import InvalidConfig
from audiobuff_core.files import is_local, join, local_path

FOLDER_NAME = "tensorboard"


class TensorBoardLog:
    """Event files in the folder `tensorboard` of a run; a resumed run hides what an earlier one wrote further on."""

    def __init__(self, folder: str, *, last_step: int) -> None:
        """Begin a file of events after `last_step`.

        Raises:
            InvalidConfig: TensorBoard is not installed, or `folder` is not on this machine.
        """
        if not is_local(folder):
            raise InvalidConfig(f"--tensorboard with --checkpoint_dir {folder}: expected a folder of this machine")
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise InvalidConfig(
                "--tensorboard needs the package tensorboard: uv sync --extra tensorboard, or pip install tensorboard; "
                "or leave it out (training_log.jsonl says the same)"
            ) from error
        place = str(local_path(join(folder, FOLDER_NAME)))
        self.writer = SummaryWriter(place, purge_step=last_step + 1)

    def add(self, row: dict[str, Any]) -> None:
        """Write the numbers of one row of the training log."""
        for name, value in row.items():
            if name != "step":
                self.writer.add_scalar(name, value, row["step"])

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()
