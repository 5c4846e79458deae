"""The table and the items as CSV, one value a line, for whatever reads them next."""

import csv
import io
from collections.abc import Iterable, Sequence

from audiobuff_core.evaluation.evaluation import Evaluation

_INTERVAL = ("mean", "low", "high")


def table_csv(evaluation: Evaluation) -> str:
    """A line for each kind, row and metric; empty fields where there is no such figure."""
    head = ["kind", "row", "metric", *_INTERVAL, "num_items"]
    head += [f"gain_{end}" for end in _INTERVAL] + [f"closed_{end}" for end in _INTERVAL] + ["worse_share"]
    lines = []
    for kind, scores in evaluation.scores.items():
        for row, metrics in scores.items():
            for name, score in metrics.items():
                fields = [kind, row, name, *(getattr(score.mean, end) for end in _INTERVAL), score.mean.num_values]
                for interval in (score.gain, score.closed):
                    fields += [None if interval is None else getattr(interval, end) for end in _INTERVAL]
                lines.append([*fields, score.worse_share])
    return _csv(head, lines)


def items_csv(evaluation: Evaluation) -> str:
    """A line for each item, row and metric: its value, or the reason why it has none."""
    lines = [
        [item.item.name, "+".join(item.item.kinds), row, metric.name, values.get(metric.name), gap]
        for item in evaluation.items
        for row, values in item.rows.items()
        for metric in evaluation.metrics
        for gap in [item.gaps[row].get(metric.name)]
    ]
    lines += [
        [problem.item, "", problem.row, "", None, f"{problem.what}: {problem.reason}"]
        for problem in evaluation.problems
        if problem.left_out
    ]
    return _csv(["item", "kinds", "row", "metric", "value", "reason"], lines)


def _csv(head: list[str], lines: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    return buffer.getvalue()
