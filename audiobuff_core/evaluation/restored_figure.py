"""A recording before and after its restoration, and over its spectrogram what was changed and how surely."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiobuff_core.evaluation.figures import HIGHEST_HZ, LOWEST_HZ, RANGE_DB, TICKS_HZ, mel, mel_levels_db

WIDTH, HEIGHT, DOTS_PER_INCH = 1_000, 240, 120
# A change this far below what is there is not seen, one as loud as it is opaque.
FAINTEST_CHANGE_DB = -40.0
Levels = NDArray[np.float64]


def restored_figure(
    before: NDArray[np.float32], after: NDArray[np.float32], sample_rate: int, confidence: Mapping[str, Any] | None
) -> bytes:
    """A PNG of 1,320 pixels width: before, after, and the map of confidence if there is one, over one time axis.

    Args:
        before: one channel of the damaged recording, shape [samples].
        after: the same, restored.
        sample_rate: in Hz.
        confidence: `confidence` of the restoration's report.
    """
    from matplotlib.figure import Figure

    panels = 2 if confidence is None else 3
    figure = Figure(figsize=(11, 0.7 + 2.3 * panels), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    seconds = len(before) / sample_rate
    was, now = (mel_levels_db(one, sample_rate, width=WIDTH, height=HEIGHT) for one in (before, after))
    top_db = float(was.max())
    for axis, levels, title in zip(axes, (was, now), ("Before", "After"), strict=False):
        _draw(axis, levels, seconds, top_db, "magma")
        axis.set_title(title, loc="left", fontsize=11)
    if confidence is not None:
        _draw(axes[2], was, seconds, top_db, "gray")
        _overlay(axes[2], confidence, seconds)
        axes[2].set_title("What the network changed, and how surely", loc="left", fontsize=11)
    axes[-1].set_xlabel("seconds")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw(axis: Any, levels_db: Levels, seconds: float, top_db: float, colours: str) -> None:  # noqa: ANN401
    low, high = mel(LOWEST_HZ), mel(HIGHEST_HZ)
    axis.imshow(
        levels_db, origin="lower", aspect="auto", cmap=colours, vmin=top_db - RANGE_DB, vmax=top_db,
        extent=(0.0, seconds, low, high),
    )  # fmt: skip
    axis.set_yticks([mel(hertz) for hertz in TICKS_HZ], [f"{hertz / 1000:g} kHz" for hertz in TICKS_HZ])
    axis.tick_params(labelsize=9)


def _overlay(axis: Any, confidence: Mapping[str, Any], seconds: float) -> None:  # noqa: ANN401
    """Cells in colours from red, a guess, to green, sure; the fainter the less was changed."""
    from matplotlib.cm import ScalarMappable

    sure = np.array(confidence["confidence"], dtype=np.float64).T
    opacity = np.clip(1 - np.array(confidence["change_db"], dtype=np.float64).T / FAINTEST_CHANGE_DB, 0, 1)
    edges_mel = np.array([mel(min(max(hertz, LOWEST_HZ), HIGHEST_HZ)) for hertz in confidence["edges_hz"]])
    start, column = confidence["start_seconds"], confidence["column_seconds"]
    times = start + column * np.arange(sure.shape[1] + 1)
    opacity = np.where(np.isnan(sure), 0.0, 0.75 * opacity)
    axis.pcolormesh(
        times, edges_mel, np.nan_to_num(sure), cmap="RdYlGn", vmin=0, vmax=1, alpha=opacity, edgecolors="none",
        linewidth=0,
    )  # fmt: skip
    axis.set_xlim(0, seconds)
    axis.set_ylim(mel(LOWEST_HZ), mel(HIGHEST_HZ))
    bar = axis.figure.colorbar(ScalarMappable(cmap="RdYlGn"), ax=axis, pad=0.01, ticks=[0, 0.5, 1])
    bar.set_label("confidence", fontsize=9)
    bar.ax.tick_params(labelsize=9)
