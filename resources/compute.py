"""Which device restores, and the restorer that all partitions of a process share."""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from resources.presets import chosen_device

if TYPE_CHECKING:
    from audiobuff_core.inference.restorer import Restorer


class Compute(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The device that networks run on."""

    device: str = Field(default=chosen_device(), description="A torch device, such as cpu or cuda:0.")

    def restorer(self, checkpoint: str) -> "Restorer":
        """The restorer of `checkpoint` (a folder or file), loaded once a process."""
        return _loaded(checkpoint, self.device)


_restorers: dict[tuple[str, str], "Restorer"] = {}


def _loaded(checkpoint: str, device: str) -> "Restorer":
    from audiobuff_core.inference.restorer import Restorer

    if (checkpoint, device) not in _restorers:
        _restorers.clear()  # one model in memory at a time
        _restorers[checkpoint, device] = Restorer.load(checkpoint, device=device)
    return _restorers[checkpoint, device]
