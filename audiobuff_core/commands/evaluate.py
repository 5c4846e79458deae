"""`audiobuff evaluate`: measure what restored recordings are worth, between a floor and a ceiling."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiobuff_core.errors import InvalidConfig

if TYPE_CHECKING:
    from audiobuff_core.evaluation.evaluation import Evaluation
    from audiobuff_core.evaluation.pairs import System

EXIT_FAILED = 1
_EXAMPLES = """examples:
  audiobuff evaluate --clean music --degraded damaged --restored ours=repaired --restored theirs=other --out report
  audiobuff evaluate --model checkpoint --recipe demo --clean music --out report
  audiobuff evaluate --clean a --degraded b --restored x=c --metrics lsd_db,si_sdr_db --kinds kinds.csv
  audiobuff evaluate --list                              every metric: what it is, and whether it is there

Files are paired by their path in the folder without suffix; rates, channels and lengths of a pair must agree. Kinds of
damage are read from the rows that `audiobuff degrade` wrote. Into OUT go evaluation.json, table.csv, items.csv and
report.html, and what was measured (OUT/measured): the same command goes on where it was cut off, and measures only what
has changed. Exit code: 0 when every item counts, 1 if one is unpaired or had to be left out: each is named."""


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    made = commands.add_parser(
        "evaluate",
        help="measure restorations, with floor, ceiling, intervals and a report",
        description="Measure what one or more systems made of damaged recordings: quality, harm and what was made up, "
        "each between the damaged input (floor) and a codec's round trip of the clean recording (ceiling), with "
        "paired bootstrap intervals, overall, by kind of damage and by item. With --model the damage and the "
        "restoration are done too.",
        epilog=_EXAMPLES,
    )
    add = made.add_argument
    add("--clean", type=Path, metavar="DIR", help="folder with the undamaged recordings")
    add("--degraded", type=Path, metavar="DIR", help="folder with the damaged ones")
    add(
        "--restored", action="append", default=[], type=_named_folder, metavar="NAME=DIR",
        help="folder with what a system made of them; again for each system",
    )  # fmt: skip
    add("--out", "-o", type=Path, default=Path("evaluation"), metavar="OUT", help="(default: ./%(default)s)")
    add("--model", "--checkpoint", metavar="PLACE", help="restore with this model: a .pt file or an export")
    add("--recipe", metavar="R", help="damage by this recipe, as `audiobuff degrade` (default: audiobuff)")
    add("--kinds", type=Path, metavar="FILE", help="JSON {name: kind} or CSV name,kind, instead of the rows")
    add("--metrics", metavar="A,B", help="only these (default: all that are there)")
    add("--codec", metavar="NAME", help="of the ceiling (default: the model's, else builtin)")
    add(
        "--speed", action="append", default=[], type=_named_number, metavar="NAME=X",
        help="seconds of audio a second of a system, where its reports do not say",
    )  # fmt: skip
    add(
        "--listening", action="append", default=[], type=Path, metavar="PLACE",
        help="results of `audiobuff listen`, or a folder of them: ratings and A/B/X join the table",
    )  # fmt: skip
    add("--processes", type=int, metavar="N", help="items at a time, a thread each (default: one a core)")
    add("--seed", type=int, default=1337, help="of damage, restoration and intervals (default: %(default)s)")
    add("--list", action="store_true", help="print every metric, and do nothing else")
    add("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, write and sum up; 1 if an item is unpaired or was left out.

    Raises:
        AudioBuffError: the options make no sense, a folder has no audio, or nothing is left to measure.
    """
    if arguments.list:
        print(metrics_in_words())
        return 0
    _check(arguments)
    from audiobuff_core.evaluation.evaluation import evaluate
    from audiobuff_core.evaluation.kept_figures import FOLDER
    from audiobuff_core.evaluation.metrics.registry import find_metrics
    from audiobuff_core.evaluation.pairs import System, read_kinds
    from audiobuff_core.files import require_writable
    from audiobuff_core.progress import show_progress

    metrics = [name.strip() for name in arguments.metrics.split(",")] if arguments.metrics else None
    find_metrics(metrics)  # before anything slow
    kinds = read_kinds(arguments.kinds) if arguments.kinds else None
    require_writable(arguments.out / "evaluation.json")
    systems = [System(name, folder) for name, folder in arguments.restored]
    degraded, codec = arguments.degraded, arguments.codec
    if arguments.model:
        degraded, system, its_codec = _restored_by(arguments)
        systems.append(system)
        codec = codec or its_codec
    with show_progress():
        found = evaluate(
            arguments.clean, degraded, systems, metrics=metrics, codec=codec or "builtin", kinds=kinds,
            speeds=dict(arguments.speed), processes=arguments.processes, seed=arguments.seed,
            listening=arguments.listening, keep=arguments.out / FOLDER,
        )  # fmt: skip
    return write_evaluation(found, arguments.out)


def write_evaluation(evaluation: "Evaluation", folder: Path) -> int:
    """Write JSON, CSV and the report into `folder`, name every problem and print the main figures; the exit code."""
    from audiobuff_core.evaluation.page import render_page
    from audiobuff_core.evaluation.tables_csv import items_csv, table_csv
    from audiobuff_core.files import write_bytes, write_json

    for name, content in (
        ("table.csv", table_csv(evaluation)),
        ("items.csv", items_csv(evaluation)),
        ("report.html", render_page(evaluation)),
    ):
        write_bytes(folder / name, content.encode())
    write_json(folder / "evaluation.json", evaluation.as_dict())
    for problem in evaluation.problems:
        print(problem, file=sys.stderr)
    for reason in evaluation.missing.values():
        print(f"no figure: {reason}", file=sys.stderr)
    print(in_words(evaluation))
    print(f"Report: {folder / 'report.html'}")
    return EXIT_FAILED if any(problem.left_out for problem in evaluation.problems) else 0


def in_words(evaluation: "Evaluation") -> str:
    """The main figures of every row over all items, as a table of text."""
    from audiobuff_core.evaluation.scores import ALL_KINDS

    scores, metrics = evaluation.scores[ALL_KINDS], evaluation.main
    head = ["", *(f"{metric.title}{f', {metric.unit}' if metric.unit else ''}" for metric in metrics), "speed"]
    lines = [head]
    for row in evaluation.rows:
        cells = []
        for metric in metrics:
            score = scores[row].get(metric.name)
            change = "" if score is None or score.gain is None else f" ({score.gain.mean:+.3g})"
            cells.append("none" if score is None else f"{score.mean.mean:.4g}{change}")
        speed = evaluation.speeds.get(row)
        lines.append([row, *cells, f"{speed:.3g}x" if speed else ""])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    table = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
    counts = {
        "left out": len(evaluation.items) - len(evaluation.kinds[ALL_KINDS]),
        "unpaired": sum(problem.what == "unpaired" and problem.left_out for problem in evaluation.problems),
    }
    left_out = "".join(f", {count} {what}" for what, count in counts.items() if count)
    return f"{table}\n{len(evaluation.kinds[ALL_KINDS])} items measured{left_out}; in brackets the gain over degraded"


def metrics_in_words() -> str:
    """Every metric with what it is and what it lacks."""
    from audiobuff_core.evaluation.metrics.registry import METRICS

    lines = []
    for metric in METRICS.values():
        lacks = f" [lacks {', '.join(metric.missing)}: {metric.install}]" if metric.missing else ""
        lines.append(f"{metric.name:20} {metric.better} is better. {metric.about}{lacks}")
    return "\n".join(lines)


def _restored_by(arguments: argparse.Namespace) -> "tuple[Path, System, str]":
    from audiobuff_core.commands.evaluate_model import damage_and_restore

    return damage_and_restore(
        arguments.model, arguments.clean, arguments.degraded, arguments.out, recipe=arguments.recipe or "audiobuff",
        seed=arguments.seed,
    )  # fmt: skip


def _check(arguments: argparse.Namespace) -> None:
    problems = []
    if arguments.clean is None:
        problems.append("expected --clean DIR")
    if arguments.model is None and not arguments.restored:
        problems.append("expected --restored NAME=DIR, or --model M to restore with")
    if arguments.model is None and arguments.degraded is None:
        problems.append("expected --degraded DIR (without --model nothing is damaged)")
    if arguments.model is None and arguments.recipe:
        problems.append("--recipe damages what --model restores: name both")
    if arguments.degraded is not None and arguments.recipe:
        problems.append("--recipe damages the clean recordings: it does not go with --degraded")
    if arguments.model and arguments.restored and arguments.degraded is None:
        problems.append("--restored is of damage that was there before: name it with --degraded")
    if arguments.processes is not None and arguments.processes < 1:
        problems.append(f"--processes {arguments.processes}: expected 1 or more")
    strangers = {name for name, _ in arguments.speed} - {name for name, _ in arguments.restored}
    if strangers:
        problems.append(f"--speed of {', '.join(sorted(strangers))}: expected names given to --restored")
    if problems:
        raise InvalidConfig("audiobuff evaluate: " + "; ".join(problems))


def _named_folder(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=DIR, such as ours=repaired")
    return name, Path(folder)


def _named_number(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not (name and 0.0 < value < float("inf")):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=X, such as ours=12.5")
    return name, value
