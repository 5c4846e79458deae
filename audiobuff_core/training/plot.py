"""A picture of a run's losses."""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from audiobuff_core.files import join, write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOT_NAME = "loss.png"


def loss_figure(rows: Iterable[dict[str, Any]]) -> "Figure":
    """Training and validation loss over steps, of the rows of a training log."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 3.0), layout="constrained")  # not pyplot, which keeps figures and chooses a display
    axes = figure.subplots()
    listed = list(rows)
    for name, label in (("loss", "training"), ("val_loss", "validation")):
        points = [(row["step"], row[name]) for row in listed if row.get(name) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, linewidth=1.0, marker="." if len(points) < 20 else "")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    if axes.lines:
        axes.legend()
    return figure


def write_loss_plot(folder: str, rows: Iterable[dict[str, Any]]) -> None:
    """Draw `loss.png` in `folder`, a path or URL."""
    buffer = io.BytesIO()
    loss_figure(rows).savefig(buffer, format="png", dpi=120)
    write_bytes(join(folder, PLOT_NAME), buffer.getvalue())
