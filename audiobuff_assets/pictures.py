"""Pictures for the browser: Markdown with the PNG inside, small enough that the event log stays quick."""

import base64
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from audiobuff_core.training.plot import loss_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_BYTES = 100_000
SHOWN_SECONDS = 4.0


def loss_curve(training_log: str) -> dg.MarkdownMetadataValue:
    """The training and validation loss of a `training_log.jsonl`, given its text."""
    rows = [json.loads(line) for line in training_log.splitlines() if line.strip()]
    return _markdown(loss_figure(rows), "loss curve")


def spectrograms(paths: Mapping[str, str]) -> dg.MarkdownMetadataValue:
    """The spectrograms of audio files side by side, the first seconds of each, titled by their keys."""
    import numpy as np
    from scipy.signal import stft

    from audiobuff_core.audio.read import read_audio

    figure = _figure(3.0 * len(paths), 2.6)
    for axes, (title, path) in zip(np.atleast_1d(figure.subplots(1, len(paths))), paths.items(), strict=True):
        waveform = read_audio(path).mono()
        samples = waveform.samples[0, : int(SHOWN_SECONDS * waveform.sample_rate)]
        samples = np.pad(samples, (0, max(0, 1024 - len(samples))))
        moments_hz, seconds, spectrum = stft(samples, fs=waveform.sample_rate, nperseg=1024, noverlap=512)
        level_db = 20 * np.log10(np.abs(spectrum) + 1e-6)
        axes.pcolormesh(seconds, moments_hz / 1000, level_db, vmin=-110, vmax=-20, rasterized=True)
        axes.set_title(title, fontsize=8)
        axes.tick_params(labelsize=6)
    return _markdown(figure, "spectrograms, kHz over seconds")


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    # Not pyplot: it keeps figures alive and chooses a window system.
    return Figure(figsize=(width, height), layout="constrained")


def _markdown(figure: "Figure", title: str) -> dg.MarkdownMetadataValue:
    for dots in (90, 60, 40, 25):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dots)
        if buffer.tell() <= MAX_BYTES * 3 // 4:
            break
    data = base64.b64encode(buffer.getvalue()).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{data})")
