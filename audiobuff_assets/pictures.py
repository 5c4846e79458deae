"""Pictures for the browser: Markdown with the PNG inside, small enough that the event log stays quick."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from audiobuff_core.training.plot import loss_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_BYTES = 100_000
SHOWN_SECONDS = 4.0


def loss_curve(training_log: str) -> dg.MarkdownMetadataValue:
    """The training and validation loss of a `training_log.jsonl`, given its text."""
    rows = [json.loads(line) for line in training_log.splitlines() if line.strip()]
    return _markdown(loss_figure(rows), "loss curve")


def spectrograms(paths: Mapping[str, str]) -> dg.MarkdownMetadataValue:
    """The spectrograms of audio files side by side, the first seconds of each, titled by their keys."""
    return shard_picture({}, paths)


def shard_picture(histograms: Mapping[str, Sequence[float]], paths: Mapping[str, str]) -> dg.MarkdownMetadataValue:
    """A histogram of each column of figures, and the spectrograms of audio files, all titled by their keys."""
    import numpy as np

    num_columns = min(3, len(histograms) + len(paths))
    num_rows = -(-(len(histograms) + len(paths)) // num_columns)
    figure = _figure(num_columns, num_rows)
    places = iter(figure.subplots(num_rows, num_columns, squeeze=False).flat)
    for title, values in histograms.items():
        axes = next(places)
        axes.stairs(*np.histogram(values, bins=20), fill=True)
        axes.set_title(title, fontsize=8)
        axes.tick_params(labelsize=6)
    for title, path in paths.items():
        axes = next(places)
        _draw_spectrogram(axes, path)
        axes.set_title(title, fontsize=8)
        axes.tick_params(labelsize=6)
    for axes in places:
        axes.set_axis_off()
    return _markdown(figure, "spectrograms, kHz over seconds")


def _draw_spectrogram(axes: "Axes", path: str) -> None:
    import numpy as np
    from scipy.signal import stft

    from audiobuff_core.audio.read import read_audio

    waveform = read_audio(path).mono()
    samples = waveform.samples[0, : int(SHOWN_SECONDS * waveform.sample_rate)]
    samples = np.pad(samples, (0, max(0, 1024 - len(samples))))
    moments_hz, seconds, spectrum = stft(samples, fs=waveform.sample_rate, nperseg=1024, noverlap=512)
    level_db = 20 * np.log10(np.abs(spectrum) + 1e-6)
    edges = (seconds[0], seconds[-1], moments_hz[0] / 1000, moments_hz[-1] / 1000)
    axes.imshow(level_db, vmin=-110, vmax=-20, origin="lower", aspect="auto", extent=edges)


def _figure(num_columns: int, num_rows: int) -> "Figure":
    from matplotlib.figure import Figure

    # Not pyplot: it keeps figures alive and chooses a window system. And fixed margins: working out how wide the labels
    # are takes longer than drawing all the rest.
    width, height = 3.0 * num_columns, 2.4 * num_rows
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(
        left=0.35 / width,
        right=1 - 0.1 / width,
        bottom=0.25 / height,
        top=1 - 0.25 / height,
        wspace=0.2,
        hspace=0.25,
    )
    return figure


def _markdown(figure: "Figure", title: str) -> dg.MarkdownMetadataValue:
    for dots in (90, 60, 40, 25):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dots)
        if buffer.tell() <= MAX_BYTES * 3 // 4:
            break
    data = base64.b64encode(buffer.getvalue()).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{data})")
