"""The report: one HTML file that needs no server, no network and no other file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audiobuff_core.evaluation.bootstrap import Interval
from audiobuff_core.evaluation.held_out import MAIN_KIND, load_held_out
from audiobuff_core.evaluation.loss_chart import draw_losses
from audiobuff_core.evaluation.metrics.registry import METRICS as ALL_METRICS
from audiobuff_core.evaluation.page_templates import page_templates
from audiobuff_core.evaluation.players import make_players
from audiobuff_core.evaluation.provenance import collect_facts
from audiobuff_core.evaluation.restorations import load_restored
from audiobuff_core.evaluation.table import MATERIAL_DB, METRICS, MetricTable, is_clear
from audiobuff_core.evaluation.verdict import OUTCOME_WORDS, judge, metric_name, number
from audiobuff_core.files import exists, join, read_bytes

KIND_TITLES = {
    "seed": ("Original recipe", "band-pass 200 Hz to 8 kHz, overdrive and clip, white noise; always all three"),
    "noise": ("Noise", "white, coloured or band noise, mostly -5 to 20 dB SNR"),
    "hum": ("Mains hum", "50 or 60 Hz with harmonics, drifting a little"),
    "clicks": ("Clicks", "clicks and pops, up to 30 a second"),
    "clipping": ("Clipping", "peaks cut off, hard or soft"),
    "band_limit": ("Band limit", "everything above an edge of 2 to 16 kHz is lost"),
    "gaps": ("Gaps", "lost packets and holes"),
    "mp3": ("MP3", "24 to 128 kbit/s, several generations"),
    "reverb": ("Reverb", "a room around the recording"),
    "clean": ("Untouched", "nothing is wrong: every change is harm"),
}


@dataclass(frozen=True, slots=True)
class GainBar:
    """A gain with its interval as a bar around a centred zero; places in percent of the bar's width."""

    interval: Interval
    start: float
    width: float
    mean: float


def render_report(
    root: str, tables: Mapping[str, Mapping[str, MetricTable]], featured: str, rows: list[dict[str, Any]]
) -> str:
    """The HTML of the report.

    Args:
        root: of all data.
        tables: checkpoint key to kind to measurements.
        featured: the checkpoint whose clips can be heard.
        rows: the leaderboard's, for the list of checkpoints.

    Raises:
        DataMissing: clips or restorations of the featured checkpoint are gone.
    """
    shown = tables[featured]
    main_kind = MAIN_KIND if MAIN_KIND in shown else next(iter(shown))
    environment = page_templates()
    environment.filters["number"] = number
    environment.filters["signed"] = _signed
    environment.filters["figure"] = lambda value: f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
    environment.filters["unbroken"] = lambda text: text.replace("SI-SDR", "SI\N{NON-BREAKING HYPHEN}SDR")
    environment.filters["way"] = _way
    environment.tests["clear"] = is_clear
    environment.filters["title"] = lambda kind: kind_title(kind)[0]
    environment.filters["about"] = lambda kind: kind_title(kind)[1]
    return environment.get_template("report.html").render(
        **_figures(root, shown, main_kind),
        **_sources(root, shown, featured),
        featured=featured,
        checkpoints=rows,
        players=make_players(root, shown, main_kind),
    )


def _figures(root: str, shown: Mapping[str, MetricTable], main_kind: str) -> dict[str, Any]:
    from audiobuff_core.evaluation.figures import tick_positions

    return {
        "main_kind": main_kind,
        "main": shown[main_kind],
        "tables": shown,
        "verdict": judge(shown),
        "bars": _bars(shown),
        "metrics": [(name, metric_name(name)) for name in METRICS],
        "titles": {name: metric.title for name, metric in ALL_METRICS.items()},
        "outcome_words": OUTCOME_WORDS,
        "material_db": MATERIAL_DB,
        "ticks": tick_positions(),
        "row_titles": {"clean": "Clean", "degraded": "Degraded", "restored": "Restored"},
    }


def _sources(root: str, shown: Mapping[str, MetricTable], featured: str) -> dict[str, Any]:
    clips = {kind: load_held_out(root, kind) for kind in shown}
    restored = {kind: load_restored(root, featured, kind) for kind in shown}
    log = join(root, "checkpoints", featured, "training_log.jsonl")
    lines = read_bytes(log).decode().splitlines() if exists(log) else []
    return {
        "facts": collect_facts(root, featured, clips, restored),
        "losses": draw_losses([json.loads(line) for line in lines]),
        "num_tracks": len({item.audio_hash for one in clips.values() for item in one.items}),
        "num_clips": sum(len(one.items) for one in clips.values()),
        "clip_seconds": max(item.duration_seconds for one in clips.values() for item in one.items),
    }


def kind_title(kind: str) -> tuple[str, str]:
    """Title and description of a kind of damage."""
    return KIND_TITLES.get(kind, (kind.replace("_", " ").capitalize(), ""))


def _bars(tables: Mapping[str, MetricTable]) -> dict[str, dict[str, GainBar]]:
    """Metric to kind to bar; all bars of a metric have one scale."""
    bars: dict[str, dict[str, GainBar]] = {}
    for name in METRICS:
        intervals = {kind: table.gain_intervals[name] for kind, table in tables.items()}
        widest = max(1e-6, *(abs(edge) for one in intervals.values() for edge in (one.low, one.high)))
        bars[name] = {kind: _bar(one, widest) for kind, one in intervals.items()}
    return bars


def _bar(interval: Interval, widest: float) -> GainBar:
    low, high, mean = (round(50 + 48 * value / widest, 2) for value in (interval.low, interval.high, interval.mean))
    return GainBar(interval, low, round(high - low, 2), mean)


def _way(share: float) -> str:
    """The closed share of the gap from floor to ceiling, in words."""
    percent = round(100 * share)
    if percent < 0:
        return f"{-percent} % further from the codec's ceiling than the damaged input"
    return f"{percent} % of the way from the damaged input to the codec's ceiling"


def _signed(value: float) -> str:
    text = number(value)
    return text if value < 0 or float(text) == 0 else f"+{text}"
