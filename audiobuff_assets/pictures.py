"""Pictures for the browser: Markdown with the PNG inside, small enough that the event log stays quick."""

import base64
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from audiobuff_core.training.plot import loss_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from audiobuff_core.evaluation.table import MetricTable

MAX_BYTES = 100_000
SHOWN_SECONDS = 4.0
INNER_WIDTH, INNER_HEIGHT = 240, 150
LEFT, TOP, RIGHT, BOTTOM = 36, 18, 10, 18
PANEL_WIDTH, PANEL_HEIGHT = LEFT + INNER_WIDTH + RIGHT, TOP + INNER_HEIGHT + BOTTOM
NUM_BINS = 20
BAR_COLOUR = "steelblue"


def loss_curve(training_log: str) -> dg.MarkdownMetadataValue:
    """The training and validation loss of a `training_log.jsonl`, given its text."""
    rows = [json.loads(line) for line in training_log.splitlines() if line.strip()]
    figure = loss_figure(rows)
    return _markdown(lambda dots: _plot(figure, dots), "loss curve")


def spectrograms(paths: Mapping[str, str]) -> dg.MarkdownMetadataValue:
    """The spectrograms of audio files side by side, the first seconds of each, titled by their keys."""
    return shard_picture({}, paths)


def gains_picture(tables: Iterable["MetricTable"]) -> dg.MarkdownMetadataValue:
    """Histograms of how much nearer to the clean clips the restored ones are than the damaged ones."""
    gains = [clip.gains for table in tables for clip in table.items]
    return shard_picture(
        {
            "LSD gain of a clip, dB": [found["lsd_db"] for found in gains],
            "SI-SDR gain of a clip, dB": [found["si_sdr_db"] for found in gains],
        },
        {},
    )


def gains_found(root: str, checkpoint: str, kinds: Iterable[str]) -> dict[str, Any]:
    """What `checkpoint` gains over the damaged clips of all `kinds`: the means, plotted over time, and a picture."""
    from statistics import fmean

    from audiobuff_core.evaluation.measure import load_metrics
    from audiobuff_core.evaluation.table import METRICS

    tables = [load_metrics(root, checkpoint, kind) for kind in kinds]
    clips = [clip.gains for table in tables for clip in table.items]
    means = {f"gain/{name}": fmean(found[name] for found in clips) for name in METRICS}
    return {"clips": len(clips), **means, "picture": gains_picture(tables)}


def shard_picture(histograms: Mapping[str, Sequence[float]], paths: Mapping[str, str]) -> dg.MarkdownMetadataValue:
    """A histogram of each column of figures, and the spectrograms of audio files, all titled by their keys.

    Spectrograms have one scale of levels, that of the first. Drawn without matplotlib's axes, which take longer to draw
    than a small shard takes to make.
    """
    from PIL import Image, ImageDraw

    panels = [_histogram(title, values) for title, values in histograms.items()] + _spectrograms(paths)
    num_columns = 2 if len(panels) == 4 else min(3, len(panels))
    size = (num_columns * PANEL_WIDTH, -(-len(panels) // num_columns) * PANEL_HEIGHT)
    picture = Image.new("RGB", size, "white")
    for number, panel in enumerate(panels):
        picture.paste(panel, (number % num_columns * PANEL_WIDTH, number // num_columns * PANEL_HEIGHT))
    ImageDraw.Draw(picture).rectangle((0, 0, size[0] - 1, size[1] - 1), outline="lightgrey")
    return _markdown(lambda colours: _png(picture, colours), "spectrograms, Hz over seconds")


def _spectrograms(paths: Mapping[str, str]) -> list["Image"]:
    from PIL import Image

    from audiobuff_core.audio.read import read_audio
    from audiobuff_core.evaluation.figures import loudest_db, spectrogram_png, tick_positions

    made: list[Image.Image] = []
    top_db: float | None = None
    for title, path in paths.items():
        waveform = read_audio(path).mono()
        samples = waveform.samples[0, : int(SHOWN_SECONDS * waveform.sample_rate)]
        top_db = loudest_db(samples, waveform.sample_rate) if top_db is None else top_db
        drawn = spectrogram_png(samples, waveform.sample_rate, top_db=top_db, width=INNER_WIDTH, height=INNER_HEIGHT)
        ticks = {label: height / 100 for label, height in tick_positions()}
        panel = _panel(title, ticks, ("0", f"{len(samples) / waveform.sample_rate:.3g} s"))
        panel.paste(Image.open(io.BytesIO(drawn)), (LEFT, TOP))
        made.append(panel)
    return made


def _histogram(title: str, values: Sequence[float]) -> "Image":
    import numpy as np
    from PIL import ImageDraw

    drawn = np.asarray(values, dtype=float)
    drawn = drawn[np.isfinite(drawn)]  # what is not is a check's to refuse
    if len(drawn) < len(values):
        title = f"{title} ({len(values) - len(drawn)} not finite)"
    counts, edges = np.histogram(drawn, bins=NUM_BINS)
    highest = max(1, int(counts.max()))
    panel = _panel(title, {"0": 0.0, str(highest): 1.0}, (f"{edges[0]:.4g}", f"{edges[-1]:.4g}"))
    pencil = ImageDraw.Draw(panel)
    for number, count in enumerate(counts):
        if count:
            left = LEFT + number * INNER_WIDTH / NUM_BINS
            top = TOP + INNER_HEIGHT * (1 - count / highest)
            pencil.rectangle((left, top, left + INNER_WIDTH / NUM_BINS - 1, TOP + INNER_HEIGHT), fill=BAR_COLOUR)
    return panel


def _panel(title: str, heights: Mapping[str, float], ends: tuple[str, str]) -> "Image":
    """A frame under `title`, with labels at `heights` (0 to 1) and at both ends of the axis to the right."""
    from PIL import Image, ImageDraw

    panel = Image.new("RGB", (PANEL_WIDTH, PANEL_HEIGHT), "white")
    pencil, right, bottom = ImageDraw.Draw(panel), LEFT + INNER_WIDTH, TOP + INNER_HEIGHT
    pencil.rectangle((LEFT - 1, TOP - 1, right, bottom), outline="grey")
    pencil.text((LEFT, TOP - 3), title, "black", anchor="ls")
    for label, height in heights.items():
        pencil.text((LEFT - 4, bottom - height * INNER_HEIGHT), label, "black", anchor="rm")
    pencil.text((LEFT, bottom + 3), ends[0], "black", anchor="lt")
    pencil.text((right, bottom + 3), ends[1], "black", anchor="rt")
    return panel


def _png(picture: "Image", colours: int) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    picture.quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(buffer, "PNG")
    return buffer.getvalue()


def _plot(figure: "Figure", dots: int) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots)
    return buffer.getvalue()


def _markdown(draw: Callable[[int], bytes], title: str) -> dg.MarkdownMetadataValue:
    """The first picture that is small enough, `draw` given ever fewer colours or dots."""
    data = b""
    for number in (90, 60, 40, 25, 12):
        data = draw(number)
        if len(data) <= MAX_BYTES * 3 // 4:
            break
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(data).decode()})")
