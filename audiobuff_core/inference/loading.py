"""Any checkpoint, the original's or ours, file or export, behind one function."""

from pathlib import Path

from audiobuff_core.inference.checkpoints import LegacyCheckpoint, OurCheckpoint
from audiobuff_core.models.legacy import LegacyConfig
from audiobuff_core.models.stored import is_export, read_weights

__all__ = ["Checkpoint", "is_export", "load_checkpoint"]

Checkpoint = LegacyCheckpoint | OurCheckpoint


def load_checkpoint(path: str | Path, *, n_heads: int | None = None) -> Checkpoint:
    """The checkpoint at `path`: a `.pt` file of the original (any of its three layouts) or of ours, or an export.

    A file that names no architecture is the original's, whose arithmetic is kept for it: its weights would fit newer
    blocks without complaint and give garbage.

    Args:
        path: file, export folder or URL.
        n_heads: of a file of the original that does not say it.

    Raises:
        CheckpointNotFound: nothing is there.
        InvalidCheckpoint: it is not whole, of an unknown architecture, holds pickled code, or contradicts itself.
    """
    stored = read_weights(path, n_heads=n_heads)
    if isinstance(stored.config, LegacyConfig) or stored.standardisers is None:
        assert isinstance(stored.config, LegacyConfig)
        return LegacyCheckpoint(stored.place, stored.config, stored.weight_sets, stored.facts)
    return OurCheckpoint(stored.place, stored.config, stored.standardisers, stored.weight_sets, stored.facts)
