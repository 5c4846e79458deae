"""Every checkpoint on every kind of damage, ranked, with the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audiobuff_core.errors import DataMissing
from audiobuff_core.evaluation.held_out import EVALUATION_KINDS, MAIN_KIND, load_held_out
from audiobuff_core.evaluation.measure import load_metrics
from audiobuff_core.evaluation.restorations import load_restored
from audiobuff_core.evaluation.table import METRICS, MetricTable
from audiobuff_core.evaluation.verdict import outcome_of
from audiobuff_core.files import exists, join, read_bytes, read_json, write_bytes, write_json
from audiobuff_core.seeding import digest

# Raise it when the same measurements would give another leaderboard or report.
CODE_VERSION = "2"


@dataclass(frozen=True, slots=True)
class LeaderboardRow:
    """One checkpoint.

    Attributes:
        checkpoint: its key.
        kinds: kind to {degraded, restored, ceiling, gains, outcome, num_clips}.
        gains: metric to the gain on the main kind, as `MetricTable.gains`.
        lost: kinds that were clearly harmed by at least one metric.
        missing: kinds it was not tried on.
    """

    checkpoint: str
    kinds: Mapping[str, Mapping[str, Any]]
    gains: Mapping[str, Mapping[str, Any]]
    lost: tuple[str, ...]
    missing: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The row as JSON values."""
        return {
            "checkpoint": self.checkpoint,
            "kinds": dict(self.kinds),
            "gains": dict(self.gains),
            "lost": list(self.lost),
            "missing": list(self.missing),
        }


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """All rows, the best first.

    Attributes:
        digest: of the rows.
        path: of `leaderboard.json`.
        rows: by the mean closed share of the gap on the main kind.
        report_path: of the HTML report.
        featured: the checkpoint whose clips the report plays.
    """

    digest: str
    path: str
    rows: tuple[LeaderboardRow, ...]
    report_path: str
    featured: str


def make_leaderboard(root: str, checkpoint_keys: Sequence[str], *, featured: str | None = None) -> Leaderboard:
    """Rank the checkpoints and write `leaderboard.json` and `report.html`; unchanged measurements change nothing.

    Args:
        root: of all data.
        checkpoint_keys: those that were measured; kinds that were not are named in the row.
        featured: the one to play in the report; None takes the best.

    Raises:
        DataMissing: a checkpoint was measured on no kind, or the clips for the report are gone.
    """
    from audiobuff_core.evaluation.report import render_report

    measured = {key: _tables(root, key) for key in sorted(set(checkpoint_keys))}
    tables = {key: found for key, found in measured.items() if found}
    if not tables:
        raise DataMissing(
            f"None of {len(measured)} checkpoints was measured on today's held-out clips, expected at least one: "
            "materialise evaluation/restorations and evaluation/metrics for one"
        )
    ranked = sorted(tables, key=lambda key: (-_score(tables[key]), key))
    featured = featured or ranked[0]
    if featured not in tables:
        raise DataMissing(f"Checkpoint {featured} is not among the measured {', '.join(ranked)}: evaluate it first")
    rows = [_row(key, tables[key]) for key in ranked]
    place, report_place = _places(root)
    inputs = digest(CODE_VERSION, _code(), featured, _contents(root, tables, featured))
    if not (exists(place) and exists(report_place) and read_json(place)["inputs"] == inputs):
        as_dicts = [row.as_dict() for row in rows]
        write_bytes(report_place, render_report(root, tables, featured, as_dicts).encode())
        write_json(place, {"inputs": inputs, "featured": featured, "rows": as_dicts})
    return load_leaderboard(root)


def load_leaderboard(root: str) -> Leaderboard:
    """What `make_leaderboard` left.

    Raises:
        DataMissing: there is none.
    """
    place, report_place = _places(root)
    if not exists(place) or not exists(report_place):
        raise DataMissing(f"No leaderboard at {place}: materialise evaluation/leaderboard")
    content = read_json(place)
    rows = tuple(
        LeaderboardRow(**{**row, "lost": tuple(row["lost"]), "missing": tuple(row["missing"])})
        for row in content["rows"]
    )
    return Leaderboard(digest(content["rows"], content["featured"]), place, rows, report_place, content["featured"])


def _tables(root: str, checkpoint_key: str) -> dict[str, MetricTable]:
    """The tables that compare with others: measured on the held-out clips of today, not on those of another seed."""
    folder = join(root, "evaluation", "metrics", checkpoint_key)
    found = {
        kind: load_metrics(root, checkpoint_key, kind)
        for kind in EVALUATION_KINDS
        if exists(join(folder, f"{kind}.json"))
    }
    if not found:
        raise DataMissing(f"No metrics of checkpoint {checkpoint_key} at {folder}: materialise evaluation/metrics")
    return {kind: table for kind, table in found.items() if _is_of_today(root, checkpoint_key, kind)}


def _is_of_today(root: str, checkpoint_key: str, kind: str) -> bool:
    return load_restored(root, checkpoint_key, kind).evaluation_digest == load_held_out(root, kind).digest


def _score(tables: Mapping[str, MetricTable]) -> float:
    """The mean over metrics of the closed share of the gap, on the main kind or else the first."""
    main = tables.get(MAIN_KIND) or next(iter(tables.values()))
    shares = [share for name in METRICS if (share := main.closed_shares[name]) is not None]
    return sum(shares) / len(shares) if shares else 0.0


def _row(checkpoint: str, tables: Mapping[str, MetricTable]) -> LeaderboardRow:
    main = tables.get(MAIN_KIND) or next(iter(tables.values()))
    kinds = {
        kind: {
            "degraded": table.degraded,
            "restored": table.restored,
            "ceiling": table.ceiling,
            "gains": table.gains,
            "outcome": outcome_of(table),
            "num_clips": len(table.items),
        }
        for kind, table in tables.items()
    }
    lost = tuple(kind for kind, table in tables.items() if table.lost)
    missing = tuple(kind for kind in EVALUATION_KINDS if kind not in tables)
    return LeaderboardRow(checkpoint, kinds, main.gains, lost, missing)


def _contents(root: str, tables: Mapping[str, Mapping[str, MetricTable]], featured: str) -> list[Any]:
    """All that the leaderboard and the report are made of."""
    measures = [[key, kind, table.digest] for key, found in tables.items() for kind, table in found.items()]
    files = [
        join(root, "checkpoints", featured, name) for name in ("training_log.jsonl", "done.json", "config.json")
    ] + [join(root, "evaluation", "restorations", featured, kind, "manifest.json") for kind in tables[featured]]
    return [measures, [read_bytes(file).decode() if exists(file) else None for file in files]]


def _code() -> str:
    """The templates, so that a change of it makes the report anew."""
    from importlib.resources import files

    folder = files("audiobuff_core.evaluation") / "templates"
    return digest(
        [
            (folder / name).read_text(encoding="utf-8")
            for name in ("report.html", "versions.html", "style.html", "player.html")
        ]
    )


def _places(root: str) -> tuple[str, str]:
    folder = join(root, "evaluation", "leaderboard")
    return join(folder, "leaderboard.json"), join(folder, "report.html")
