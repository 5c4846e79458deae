"""What each epoch learns from: the damage that was prepared, or another draw of it every few epochs."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from audiobuff_core.data.dataset import LatentDataset
from audiobuff_core.data.redraw import load_drawn
from audiobuff_core.data.snapshot import Snapshot
from audiobuff_core.errors import TrainingFailed
from audiobuff_core.files import delete_folder, join
from audiobuff_core.training.config import TrainingConfig
from audiobuff_core.training.distributed import Ranks
from audiobuff_core.training.interruption import DrawInterrupted

LOOK_SECONDS = 0.5


class FreshDamage:
    """The dataset of each epoch (from 0).

    With `fresh_every` = n epochs 0 to n-1 have what was prepared, the next n draw 1, and so on. Rank 0 makes each draw
    in a process of its own while the one before is learned from, in `draws/` beside the checkpoints; the draws before
    that are removed. Every rank must see that folder.

    Attributes:
        last_epoch: the one in which the last step begins; the few samples by which that step may reach into another
            are not worth a draw, and are taken from the last one.
    """

    def __init__(
        self, prepared: LatentDataset, snapshot: Snapshot, config: TrainingConfig, ranks: Ranks, folder_url: str
    ) -> None:
        """No draw is begun yet."""
        self.prepared, self.snapshot, self.config, self.ranks = prepared, snapshot, config, ranks
        self.root = join(folder_url, "draws")
        self.last_epoch = config.epochs - 1
        self._lock = threading.Lock()
        self._made: dict[int, LatentDataset] = {0: prepared}
        self._process: tuple[int, subprocess.Popen[bytes], Any] | None = None

    def at(self, epoch: int, is_stopped: Callable[[], bool] = lambda: False) -> LatentDataset:
        """The dataset of `epoch`, waited for if it is not drawn yet.

        Raises:
            TrainingFailed: it can't be drawn.
            DrawInterrupted: `is_stopped` says so, while it was waited for.
        """
        every = self.config.fresh_every
        if not every:
            return self.prepared
        number = min(epoch, self.last_epoch) // every
        with self._lock:
            self._require_alive()  # what can't be drawn is said at once, and not when it is needed
            if number not in self._made:
                self._made[number] = self._drawn(number, is_stopped)
                for old in [one for one in self._made if 0 < one < number - 1]:
                    del self._made[old]
                    if self.ranks.is_first:
                        delete_folder(self._folder(old))
            following = number + 1
            if self.ranks.is_first and following not in self._made and following * every <= self.last_epoch:
                self._begin(following)
            return self._made[number]

    def close(self) -> None:
        """End the process that draws, if there is one; the next start goes on where it was."""
        if self._process is not None:
            self._process[1].terminate()
            self._process[1].wait()
            self._process[2].close()
            self._process = None

    def remove(self) -> None:
        """Remove the draws, when nobody needs them any more."""
        if self.config.fresh_every and self.ranks.is_first:
            delete_folder(self.root)

    def _folder(self, number: int) -> str:
        return join(self.root, f"{number:05d}")

    def _drawn(self, number: int, is_stopped: Callable[[], bool]) -> LatentDataset:
        is_told = False
        while (snapshot := load_drawn(self.snapshot, self._folder(number))) is None:
            if self.ranks.is_first:
                self._begin(number)
                self._require_alive()
                if not is_told:
                    print(f"Training waits for draw {number} of the damage", file=sys.stderr)
                    is_told = True
            if is_stopped():
                raise DrawInterrupted("Stopped while damage was drawn; the same command goes on from there")
            time.sleep(LOOK_SECONDS)
        dataset = LatentDataset(snapshot, "train", segment_frames=self.config.segment_frames)
        dataset.standardisers = self.prepared.standardisers
        return dataset

    def _begin(self, number: int) -> None:
        """Start a process that makes draw `number`, unless one runs or it is made."""
        if self._process is not None and self._process[0] == number:
            return
        self.close()
        if load_drawn(self.snapshot, self._folder(number)) is not None:
            return
        said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        command = [sys.executable, "-m", "audiobuff_core.data.redraw", self.snapshot.path]
        # In a session of its own: Ctrl-C is for training, which ends it.
        started = subprocess.Popen([*command, self._folder(number), str(number)], stderr=said, start_new_session=True)
        self._process = number, started, said

    def _require_alive(self) -> None:
        if self._process is None or self._process[1].poll() in (None, 0):
            return
        number, process, said = self._process
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
        self.close()
        reason = lines[-1].removeprefix("error: ") if lines else f"its process ended with {process.returncode}"
        raise TrainingFailed(f"Draw {number} of the damage could not be made: {reason}")
