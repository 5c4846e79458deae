"""The picture beside a restored file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiobuff_core.audio.recording import Recording, Stored


def picture_path(destination: Path) -> Path:
    """Where the picture of a restored file lies: beside it."""
    return destination.with_name(f"{destination.name}.png")


def draw(before: "Recording", after: "Stored", confidence: dict[str, Any] | None, destination: Path) -> None:
    """Draw the first channel before and after, and the map of confidence, beside `destination`.

    Raises:
        OutputNotWritable: the place is read-only or full.
    """
    from audiobuff_core.audio.recording import as_floats
    from audiobuff_core.evaluation.restored_figure import restored_figure
    from audiobuff_core.files import write_bytes

    was, now = (as_floats(stored[:1])[0] for stored in (before.stored, after))
    write_bytes(picture_path(destination), restored_figure(was, now, before.sample_rate, confidence))
