"""Everything measured: from folders of files to the table and its JSON."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from audiobuff_core.errors import DataMissing, MetricUnavailable
from audiobuff_core.evaluation.listening.results import read_listening, with_listening
from audiobuff_core.evaluation.measured_items import MeasuredItem, measure_item
from audiobuff_core.evaluation.metrics.protocol import Metric
from audiobuff_core.evaluation.metrics.registry import MAIN, find_metrics
from audiobuff_core.evaluation.pairs import CEILING, FLOOR, Item, Problem, System, pair_files
from audiobuff_core.evaluation.scores import (
    Scores,
    Worst,
    by_kind,
    differences,
    gap_reasons,
    score_items,
    worst_items,
)
from audiobuff_core.progress import track

SCHEMA = "audiobuff-evaluation/1"
# Libraries that would start a thread a core in each of the processes.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Systems, items and the table of both.

    Attributes:
        systems: what was compared.
        metrics: those that could be measured with, in the order of the table.
        missing: metric to the packages that it lacks, and how to get them.
        codec: whose round trip is the ceiling.
        items: all items, those that were left out among them.
        problems: of all files, the unpaired first.
        kinds: kind (`all` first) to the items that count.
        scores: kind to row to metric to score.
        speeds: system to seconds of audio a second, where it is known.
        seed: of the bootstrap.
    """

    systems: tuple[System, ...]
    metrics: tuple[Metric, ...]
    missing: Mapping[str, str]
    codec: str
    items: tuple[MeasuredItem, ...]
    problems: tuple[Problem, ...]
    kinds: Mapping[str, Sequence[MeasuredItem]]
    scores: Mapping[str, Scores]
    speeds: Mapping[str, float]
    seed: int

    @property
    def rows(self) -> list[str]:
        """Floor, systems, ceiling."""
        return [FLOOR, *(system.name for system in self.systems), CEILING]

    @property
    def main(self) -> list[Metric]:
        """The metrics that rank, those that are there."""
        chosen = [metric for name in MAIN for metric in self.metrics if metric.name == name]
        return chosen or list(self.metrics[:1])

    @property
    def worst(self) -> list[Worst]:
        """The worst item of each kind, by the main metrics."""
        return worst_items(self.kinds, [system.name for system in self.systems], self.main)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        counted = self.kinds["all"]
        names = [system.name for system in self.systems]
        return {
            "schema": SCHEMA,
            "systems": [
                {"name": one.name, "folder": str(one.folder), "note": one.note, "speed": self.speeds.get(one.name)}
                for one in self.systems
            ],
            "ceiling": f"round trip of the clean recording through the codec {self.codec}",
            "metrics": [metric_facts(metric) for metric in self.metrics],
            "missing": dict(self.missing),
            "counts": {
                "paired": len(self.items),
                "measured": len(counted),
                "left_out": len(self.items) - len(counted),
                "problems": dict(Counter(problem.what for problem in self.problems)),
                "by_metric": gap_reasons(counted, self.rows, self.metrics),
                "by_kind": {kind: len(items) for kind, items in self.kinds.items()},
            },
            "problems": [asdict(problem) for problem in self.problems],
            "table": {
                kind: {
                    row: {name: score.as_dict() for name, score in metrics.items()} for row, metrics in scores.items()
                }
                for kind, scores in self.scores.items()
            },
            "differences": differences(counted, names, self.rows, self.metrics, seed=self.seed),
            "worst": [asdict(one) for one in self.worst],
            "items": [_item_facts(item) for item in self.items],
            "bootstrap": {"seed": self.seed, "resamples": 10_000, "confidence": 0.95},
        }


def evaluate(
    clean: Path,
    degraded: Path,
    systems: Sequence[System],
    *,
    metrics: Sequence[str] | None = None,
    codec: str = "builtin",
    kinds: Mapping[str, tuple[str, ...]] | None = None,
    speeds: Mapping[str, float] | None = None,
    processes: int | None = None,
    seed: int = 1337,
    listening: Sequence[Path] = (),
    keep: Path | None = None,
) -> Evaluation:
    """Measure what `systems` made of the recordings in `degraded`, between those and a codec's round trip of `clean`.

    Args:
        clean: folder of the references.
        degraded: folder of the damaged inputs, the floor.
        systems: at least one.
        metrics: names of metrics; None takes all. Those that lack a package are a named gap.
        codec: whose round trip of the clean recordings is the ceiling.
        kinds: name to kinds of damage; None takes those of the rows beside the damaged files.
        speeds: system to seconds of audio a second; else they are added up from the reports beside its outputs.
        processes: items are measured in as many, each with one thread; None takes one a core.
        seed: of the bootstrap.
        listening: results of blind pages, or folders of them, whose figures join the table.
        keep: folder for figures, item by item; those that are there are not measured again while samples and code
            are the same.

    Raises:
        AudioNotFound: a folder has no audio, or no name is in all of them.
        DataMissing: every item had to be left out.
        MetricUnavailable: no metric has such a name, or all of them lack packages.
        EncoderUnavailable: there is no such codec.
    """
    asked = find_metrics(metrics)
    there = tuple(metric for metric in asked if not metric.missing)
    missing = {one.name: f"{one.title} lacks {', '.join(one.missing)}: {one.install}" for one in asked if one.missing}
    if not there:
        raise MetricUnavailable(f"No metric to measure with: {'; '.join(missing.values())}")
    heard = read_listening(listening) if listening else None  # before anything slow
    items, problems = pair_files(clean, degraded, systems, kinds=kinds)
    measure = partial(measure_item, metric_names=[metric.name for metric in asked], codec_name=codec, keep=keep)
    measured = _measure_all(items, measure, processes or os.cpu_count() or 1)
    problems += [problem for item in measured for problem in item.problems]
    if heard is not None:
        measured, metrics_heard, of_listeners = with_listening(measured, [one.name for one in systems], heard)
        there, problems = (*there, *metrics_heard), [*problems, *of_listeners]
    counted = [item for item in measured if not item.left_out]
    if not counted:
        first = next(problem for problem in problems if problem.left_out and problem.what != "unpaired")
        raise DataMissing(
            f"All {len(measured)} items had to be left out, expected at least one: the first is {first.item} "
            f"({first.row}): {first.reason}"
        )
    rows = [FLOOR, *(system.name for system in systems), CEILING]
    grouped = by_kind(counted)
    return Evaluation(
        systems=tuple(systems),
        metrics=there,
        missing={
            one.name: f"{one.title} lacks {', '.join(one.missing)}: {one.install}" for one in asked if one.missing
        },
        codec=codec,
        items=tuple(measured),
        problems=tuple(problems),
        kinds=grouped,
        scores={kind: score_items(found, rows, there, seed=seed) for kind, found in grouped.items()},
        speeds={**_speeds(counted, systems), **(speeds or {})},
        seed=seed,
    )


def metric_facts(metric: Metric) -> dict[str, Any]:
    """What a reader of the table needs to know of a metric."""
    names = ("name", "title", "unit", "better", "material", "group", "about")
    return {name: getattr(metric, name) for name in names}


def _measure_all(items: list[Item], measure: Callable[[Item], MeasuredItem], processes: int) -> list[MeasuredItem]:
    """In the order of `items`; in this process where one is enough."""
    if processes == 1 or len(items) == 1:
        return [measure(item) for item in track(items, "Measuring")]
    with (
        _one_thread_each(),
        ProcessPoolExecutor(min(processes, len(items)), mp_context=get_context("spawn")) as pool,
    ):
        return list(track(pool.map(measure, items), "Measuring", total=len(items)))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """What processes that start inside the block are told."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _speeds(items: Sequence[MeasuredItem], systems: Sequence[System]) -> dict[str, float]:
    """Seconds of audio a second of the systems that left their seconds beside every output."""
    speeds = {}
    for system in systems:
        seconds = [(one.item.seconds or {}).get(system.name) for one in items]
        known = [one for one in seconds if one is not None]
        if len(known) == len(items) and sum(known) > 0:
            speeds[system.name] = sum(one.duration_seconds for one in items) / sum(known)
    return speeds


def _item_facts(item: MeasuredItem) -> dict[str, Any]:
    return {
        "name": item.item.name,
        "kinds": list(item.item.kinds),
        "damage": item.item.damage,
        "duration_seconds": item.duration_seconds,
        "left_out": item.left_out,
        "rows": item.rows,
        "gaps": item.gaps,
        "files": {"clean": str(item.item.clean), FLOOR: str(item.item.degraded)}
        | {system: str(path) for system, path in item.item.restored.items()},
    }
