"""Tables of a shard for the browser: its worst tracks, and what was put aside."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from audiobuff_core.data.pristine import PristineTrack, QuarantinedTrack

MAX_ROWS = 20


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """At most 20 `rows` under `heads`; file names can't break the table."""
    lines = [heads, ["---"] * len(heads), *([_cell(value) for value in row] for row in rows)]
    shown = ["| " + " | ".join(line) + " |" for line in lines[: MAX_ROWS + 2]]
    more = len(lines) - len(shown)
    return dg.MetadataValue.md("\n".join(shown + ([f"\n... and {more} more"] if more else [])))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", "\\n").replace("<", "&lt;")


def badness(track: "PristineTrack") -> float:
    """How much a track's flaws stand out: clipping first, then noise that is nearly as loud as the rest."""
    measures = track.measures
    silent = -100.0
    noise_db = silent if measures.noise_floor_db is None else measures.noise_floor_db
    loudness = silent if measures.loudness_lufs is None else measures.loudness_lufs
    return 1_000.0 * measures.clipped_share + (100.0 if track.trained_below_hz else 0.0) + noise_db - loudness


COLUMNS: dict[str, Callable[["PristineTrack"], object]] = {
    "track": lambda track: track.track_id,
    "side": lambda track: track.split,
    "s": lambda track: track.duration_seconds,
    "Hz": lambda track: track.measures.source_rate,
    "band kHz": lambda track: track.measures.bandwidth_hz / 1000.0,
    "learned to kHz": lambda track: None if track.trained_below_hz is None else track.trained_below_hz / 1000.0,
    "LUFS": lambda track: track.measures.loudness_lufs,
    "dBTP": lambda track: track.measures.true_peak_db,
    "clipped %": lambda track: 100.0 * track.measures.clipped_share,
    "floor dB": lambda track: track.measures.noise_floor_db,
    "silent %": lambda track: 100.0 * track.measures.silence_share,
    "DC": lambda track: track.measures.dc,
    "width": lambda track: track.measures.stereo_width,
}


def worst_tracks(tracks: Sequence["PristineTrack"]) -> dg.MarkdownMetadataValue:
    """The tracks with the most to complain of, the worst first, with all that is measured."""
    worst = sorted(tracks, key=badness, reverse=True)
    return markdown_table(list(COLUMNS), ([column(track) for column in COLUMNS.values()] for track in worst))


def put_aside(rows: Sequence["QuarantinedTrack"]) -> dg.MarkdownMetadataValue:
    """What can't be used, and why."""
    return markdown_table(["recording", "why"], ([row.source, row.reason] for row in rows))
